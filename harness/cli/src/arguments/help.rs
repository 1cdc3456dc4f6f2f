//! What `--help` says at its end: examples, exit statuses, environment and files. Tests parse every example.

/// Of `assay` itself.
pub(super) const ASSAY: &str = "\
Examples:
  assay doctor
      What this machine can do, and what to install.
  assay run --series fix.mbox net
      From a mailbox to a verdict.
  assay exec -- uname -r
      One command in one guest.
  assay report --format markdown
      The newest run's report, for a cover letter.

Exit status:
  0    done; of a run: all gates hold
  1    the kernel's or a gate's answer is no: worse, crashed, does not apply, does not compile
  2    the input is wrong; every problem is told at once, with file and line
  3    unclear: the data does not decide
  69   the machine could not do it; says nothing about any kernel
  130  stopped by Ctrl-C, SIGTERM or SIGHUP; finished trials are kept

  `exec`, `shell` and `tune -- COMMAND` end with the status of their command.

Streams:
  Results go to standard output; progress, notes and errors to standard error. With --json (or
  --format json) errors are one JSON document as well: {\"error\": {\"kind\", \"exit\", ...}}, where
  kind is `user`, `infrastructure` or `interrupted`.

Environment:
  ASSAY_CACHE, ASSAY_PROJECT
      As --cache and --project.
  ASSAY_DEBIAN_MIRROR, ASSAY_DEBIAN_SECURITY_MIRROR, ASSAY_DEBIAN_KEYRING
      Where Debian's packages come from, in place of what /etc/apt says.
  KBUILD_OUTPUT
      The build folder of the kernel tree that the current folder is in.
  NO_COLOR, CLICOLOR_FORCE, CLICOLOR, TERM=dumb
      Whether there are colours, if --color does not say.
  XDG_CACHE_HOME, XDG_STATE_HOME, XDG_RUNTIME_DIR
      In place of ~/.cache, ~/.local/state and /tmp.

Files:
  results/RUN/        run.json, samples.jsonl, trials/, and the report in every form
  /var/cache/assay    kernels, packages and images (~/.cache/assay for others than root)
  /var/lib/assay      how this machine was before `assay tune --apply`";

/// Of `assay run`.
pub(super) const RUN: &str = "\
Examples:
  assay run net --series fix.mbox
      Does this mailbox change throughput or latency between two guests?
  assay run my-question.yaml
  assay run quick --base debian-7.3 --series v6.12..my-branch --git ~/linux
  assay run net
      In a kernel tree: its working tree, uncommitted changes included.
  assay run --resume 20260102-030405-net
      Go on after Ctrl-C, a crash or kill -9.
  git bisect run assay run --bisect net

Exit status:
  0    all gates hold
  1    a gate fails, or a kernel does not apply, does not compile, crashes or hangs
  2    the input is wrong
  3    unclear
  69   the machine could not do it
  130  stopped; the message says how to go on
  With --bisect: 0 all gates hold, 1 one fails, 125 unclear or cannot be tested, 129 the input is wrong.

Files:
  results/RUN/report.{txt,md,json,html}    every form of the report, whichever is printed";

/// Of `assay plan`.
pub(super) const PLAN: &str = "\
Examples:
  assay plan net
      Every default decided, the boots in order, and how long it takes.
  assay plan flows --json
  assay plan net --series iommu-hooks --base debian-7.3

Exit status:
  0    the plan is printed
  2    the input is wrong; every problem is told at once, with file, line and what is allowed";

/// Of `assay bundle`.
pub(super) const BUNDLE: &str = "\
Examples:
  assay bundle
      The newest run, with the kernels and images that its guests booted.
  assay bundle 20260102-030405-net --no-images -o net.bundle.tar.zst
  assay bundle --show net.bundle.tar.zst
      What a stranger's bundle holds and would do, before it is replayed.
  tar --zstd -tf net.bundle.tar.zst

What is in it:
  manifest.json first: every file with size and sha256. The plan, the scenario as written, the
  patches, what each source was resolved to, configurations, samples, consoles, logs, the report.
  Of this machine: its CPU, memory and kernel version, QEMU, compiler and linker, how it was tuned.
  Not: its name, its users' names, and folders; in logs these are words such as ~ and CACHE.

Exit status:
  0    it is written, or shown
  2    there is no such run, a file of it has changed since, or what --show names is no bundle
  69   the machine could not do it";

/// Of `assay replay`.
pub(super) const REPLAY: &str = "\
Examples:
  assay replay net.bundle.tar.zst
      Boots the very kernels of the bundle as often as the run did, and compares.
  assay replay net.bundle.tar.zst --rebuild
      Builds them again first, and says whether they come out the same to the byte.
  assay replay net.bundle.tar.zst --arm candidate --boots 5
  assay replay tree.bundle.tar.zst --source ~/linux
      The base was a commit of somebody's own repository; this one has it, too.

Whether it agrees:
  For each gate: the new interval meets the old one, and the verdict is the same. For each arm:
  it builds or fails as it did, and what every boot did then, not every boot fails to do now.

Exit status:
  0    it agrees
  1    it does not agree; what differs is said
  2    no bundle, a damaged one, one of a newer Assay, or one that asks for what it may not have
  3    unclear: one of the two runs does not decide
  69   the machine could not do it, or a source is no longer to be had; it is named
  130  stopped; the message says how to go on";

/// Of `assay exec`.
pub(super) const EXEC: &str = "\
Examples:
  assay exec -- uname -r
  assay exec --series iommu-hooks --cmdline intel_iommu=on -- dmesg
  assay exec --root host -- ./mytest
      A program of the host's, in the guest.
  assay exec --nested --level host -- cat /proc/interrupts
  assay exec --share out:/out:rw -- sh -c 'dmesg > /out/dmesg'
  git bisect run assay exec --make --bisect --root host -- ./mytest
      In a kernel tree: build, boot and test each commit.

Exit status:
  The command's own; 128 and the signal's number if one ended it; 124 if it outlived --deadline.
  1    the kernel does not build, crashes, hangs or resets: what it died of is printed with its stack
       decoded, and where its whole console was kept. What it complained of and survived is printed,
       too, and leaves the status alone.
  2    the input is wrong, or the guest has no such command
  69   the machine could not do it
  130  stopped
  With --bisect: 0 good, 1 to 124 bad, 125 cannot be tested, 129 the input is wrong.";

/// Of `assay shell`.
pub(super) const SHELL: &str = "\
Examples:
  assay shell
  assay shell --vcpus 4 --memory 2048 --share ~/data:/data:rw
  assay shell --gdb=wait
      The guest waits at power-on until `assay gdb` has attached.
  assay shell --root host:overlay -- bash

  Without a terminal, standard input is a script: `assay shell < script`.

Exit status:
  That of the shell or of the command.
  1    the kernel does not build, crashes, hangs or resets: what it died of is printed with its stack
       decoded, and where its whole console was kept
  2    the input is wrong
  69   the machine could not do it";

/// Of `assay gdb`.
pub(super) const GDB: &str = "\
Examples:
  assay gdb
  assay gdb -- -batch -ex bt
  assay gdb --pid 4711 -- -ex 'hbreak start_kernel'

  Kernels are built with symbols; addresses are not mapped before the kernel runs, so breakpoints
  that are set at power-on have to be `hbreak`s.

Exit status:
  gdb's own.
  2    there is no such guest, or several and --pid names none
  69   gdb is not installed, or cannot be started";

/// Of `assay kernel`.
pub(super) const KERNEL: &str = "\
Examples:
  assay kernel list
  assay kernel build debian-6.12 --series iommu-hooks
  assay kernel gc --under 10

Files:
  kernels/BASE.yaml            what a base is: its source and its configuration
  kernels/fragments/           options that bases name
  /var/cache/assay/kernels     what is built (--cache)";

/// Of `assay kernel build`.
pub(super) const KERNEL_BUILD: &str = "\
Examples:
  assay kernel build debian-6.12
  assay kernel build debian-6.12 --series fix.mbox --json

Exit status:
  0    built, now or before; the path of the image is printed
  1    the series does not apply or does not compile, or an option is lost
  2    the input is wrong
  69   the machine could not do it";

/// Of `assay kernel reproduce`.
pub(super) const KERNEL_REPRODUCE: &str = "\
Examples:
  assay kernel reproduce debian-6.12

  Takes as long as a cold build: nothing of the cache is used.

Exit status:
  0    the images are the same to the byte
  1    they differ";

/// Of `assay kernel gc`.
pub(super) const KERNEL_GC: &str = "\
Examples:
  assay kernel gc
  assay kernel gc --under 5 --json

  Whatever is removed can be had again, and takes a build or a download. What a command that runs at
  the moment uses is kept.";

/// Of `assay series`.
pub(super) const SERIES: &str = "\
Examples:
  assay series show fix.mbox
  assay series check iommu-hooks --no-boot

Files:
  patches/NAME/series.yaml    a series that is kept: for which bases it has patches";

/// Of `assay series show`.
pub(super) const SERIES_SHOW: &str = "\
Examples:
  assay series show fix.mbox
      Wrong order, replies, trailers and attachments: what was made of them.
  assay series show v6.12..my-branch --git ~/linux --json

Exit status:
  0    it is a series
  2    it is none; the message says why, with file and line where there is one";

/// Of `assay series check`.
pub(super) const SERIES_CHECK: &str = "\
Examples:
  assay series check fix.mbox
  assay series check fix.mbox --base debian-6.12 --base debian-7.3 --no-boot
  assay series check iommu-hooks --no-build --json

  Every patch is a build of its own, so that bisection works later.

Exit status:
  0    every patch applies and builds without new warnings, checkpatch finds no error, and the last
       one boots without warnings
  1    one of these does not hold
  2    the input is wrong
  69   the machine could not do it";

/// Of `assay report`.
pub(super) const REPORT: &str = "\
Examples:
  assay report
  assay report 20260102-030405-net --format markdown
  assay report --format html --output report.html
  assay report --format html --path
  assay report 20260102-030405-net --beside 20260103-030405-nested-runs
  assay report --format run-metrics

Exit status:
  That of the run: 0 all gates hold, 1 one fails, 3 unclear. 0 with --path.
  2    there is no such run";

/// Of `assay import`.
pub(super) const IMPORT: &str = "\
Examples:
  assay import results.md
      Whatever tools' output and tables the text holds.
  assay import ~/nested-runs
      Every file below it. A folder called 2025-10-03-16-32-21-6.12.9-flow04-host-strict-guest-off-...
      says of which kernel, flows, modes, ring and cores its files are.
  assay import --format perf-stat --name bare-metal counters.log
  assay report --beside 20260102-030405-net

What is read:
  run-metrics  the blocks that scripts of IOMMU studies print; what `assay report --format
               run-metrics` prints
  iperf3       of either side, for people or with --json; sockperf's client
  bpftrace     @total[process, call], @count, @time, with calls or whole probes as keys
  perf         trace -s, report --stdio, stat -x,
  pcm-iio      -csv; numbers for each page and walk times are computed where throughput stands beside
  sysstat      mpstat and sar
  notes        any of these under headings, in fences; tables of markdown or with tabs

  A file that a run was imported from before makes no second one.

Exit status:
  0    everything was read, or is there already
  1    part of it was: each line that could not be read is told, and kept in imported.json
  2    nothing was, or there is no such file
  69   the machine could not do it";

/// Of `assay profile`.
pub(super) const PROFILE: &str = "\
Examples:
  assay profile
  assay profile 20260102-030405-null-exact --by subsystem
  assay profile --arm candidate --baseline baseline --top 10 --format markdown
  assay profile --arm baseline --by context
      One arm by itself.

Exit status:
  0    done: a profile is no verdict
  2    there is no such run, arm or workload, or nothing was counted in it";

/// Of `assay runs`.
pub(super) const RUNS: &str = "\
Examples:
  assay runs
  assay runs --scenario net --limit 5 --json
  assay runs --prune

Files:
  results/index.sqlite    an index that follows the folders; it may be deleted at any time";

/// Of `assay compare`.
pub(super) const COMPARE: &str = "\
Examples:
  assay compare 20260102-030405-net 20260103-030405-net
  assay compare 20260102-030405-net --arm baseline --arm candidate --metric throughput
  assay compare --exact 20260102-030405-null-exact    # every count of all boots of one replicate

Exit status:
  0, 1 or 3, as for `run`, between arms of one run; 3 (unclear) between runs, whose boots were made
  at different times.
  With --exact: 0 all differ by 0 in every function, 1 one differs, 3 no two boots are comparable.
  2    there is no such run, arm, workload or metric";

/// Of `assay calibrate`.
pub(super) const CALIBRATE: &str = "\
Examples:
  assay calibrate net                                                    # identical arms
  assay calibrate net --show                                             # what is known already
  assay calibrate --from 20260102-030405-calibrate-net                   # a run that was resumed
  assay calibrate --exact null-exact
  assay calibrate --exact iommu-hooks-exact --patches 30
  assay calibrate --exact --from 20260102-030405-calibrate-null-exact    # a run that was resumed

Exit status:
  0    it is measured, and kept in the cache
  2    the scenario is wrong, its evidence is timed, or it lists several values
  69   this machine could not do it";

/// Of `assay bisect`.
pub(super) const BISECT: &str = "\
Examples:
  assay bisect my-question.yaml --series outgoing/          # which patch
  assay bisect --series thread.mbox --budget 2h             # the question of scenarios/net.yaml
  assay bisect my-question.yaml --range v6.12..HEAD         # which commit, in a kernel tree
  assay bisect net --range v6.12..HEAD --crash              # which one crashes
  assay bisect my-question.yaml --options their.config      # which option of a configuration
  assay bisect my-question.yaml --cmdline 'nosmt mitigations=off'    # which word
  assay bisect my-question.yaml --series outgoing/ --subset # which patches, if it takes several
  assay bisect --resume results/bisect/20260102-030405-net-4711

Exit status:
  0    found, as probable as was asked for
  1    nothing in the range did it: both ends are alike
  2    the scenario, the series, the range, the options or the words are wrong
  3    not decided: the budget is used up, an end cannot be tested, or no test would tell more
  69   this machine could not do it; go on with --resume";

/// Of `assay trend`.
pub(super) const TREND: &str = "\
Examples:
  assay trend throughput
  assay trend latency --workload rtt --dim percentile=99 --json
  assay trend throughput --scenario net --last 30 --gate      # every night, after the run

Exit status:
  0    at least one run has it
  1    with --gate: a series changed for the worse
  2    none has; the message lists the metrics that there are";

/// Of `assay doctor`.
pub(super) const DOCTOR: &str = "\
Examples:
  assay doctor
  assay doctor --json

  Packages are named as Debian, Fedora or Arch call them, whichever this is. Nothing is changed.

Exit status:
  0    Assay can build, boot and compare here
  1    something that this needs is missing
  69   this machine could not be examined";

/// Of `assay tune`.
pub(super) const TUNE: &str = "\
Examples:
  assay tune
      Show each setting: now, would be, why, and how it is undone.
  sudo assay tune --apply --cores 2-5 -- assay run my-question.yaml
      Tune, run, and put everything back.
  sudo assay tune --apply
  sudo assay tune --restore

Exit status:
  0    shown, set, or put back; with a command, the command's own status
  1    something is still to be put back, since somebody else has changed it or the kernel refused
  2    the input is wrong, this is not root, or the machine is tuned already
  130  stopped; the command was ended and everything put back

Environment:
  ASSAY_STATE    in place of /var/lib/assay

Files:
  /var/lib/assay/tune.json    how everything was, written before anything is changed";

/// Of `assay size`.
pub(super) const SIZE: &str = "\
Examples:
  assay size --rate 200G --rtt 0.1ms --mtu 4148
      What a zero-copy receiver of one flow at 200 Gbit/s needs.
  assay size --rate 25G --rtt 40us --mtu 9000 --ring 2048
      With a NIC whose ring has no more descriptors.
  assay size --rate 200G --rtt 0.1ms --mtu 4148 --json

Exit status:
  0    told
  2    the input is wrong";

/// Of `assay completions`.
pub(super) const COMPLETIONS: &str = "\
Examples:
  assay completions bash > ~/.local/share/bash-completion/completions/assay
  assay completions zsh > ~/.zfunc/_assay
      With ~/.zfunc in fpath.
  assay completions fish > ~/.config/fish/completions/assay.fish";

/// Of `assay schema`.
pub(super) const SCHEMA: &str = "\
Examples:
  assay schema > scenario.schema.json

  Editors with yaml-language-server complete and check scenarios that begin with
  `# yaml-language-server: $schema=PATH/scenario.schema.json`.";

/// Of `assay man`.
pub(super) const MANUAL: &str = "\
Examples:
  assay man ~/.local/share/man/man1
  assay man > assay.1";

#[cfg(test)]
mod tests;
