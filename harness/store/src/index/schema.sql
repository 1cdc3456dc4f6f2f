CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,      -- the folder's name; sorts by time
    stamp TEXT NOT NULL,            -- of the folder's files when they were read
    damage TEXT,                    -- why it could not be read; then all that follows is null
    scenario TEXT,
    question TEXT,
    started TEXT,                   -- RFC 3339
    assay TEXT,
    host TEXT,
    finished INTEGER,               -- 0 or 1
    trials_made INTEGER,
    trials_planned INTEGER,
    outcome TEXT,                   -- holds, fails, unclear
    exit INTEGER                    -- 0, 1, 3
);

CREATE TABLE arm (
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,      -- in the plan
    name TEXT NOT NULL,
    side TEXT NOT NULL,             -- the name without its place in a matrix
    is_baseline INTEGER NOT NULL,   -- 0 or 1
    kernel TEXT NOT NULL,           -- base, series, options and parameters in a line
    release TEXT,                   -- uname -r
    source_version TEXT,
    build_failure TEXT,
    machine TEXT NOT NULL,
    boots INTEGER NOT NULL,
    boots_failed INTEGER NOT NULL,  -- in which not all workloads ran
    PRIMARY KEY (run, position)
) WITHOUT ROWID;

CREATE TABLE gate (
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    arm TEXT NOT NULL,              -- the candidate's side
    label TEXT NOT NULL,
    verdict TEXT NOT NULL,          -- better, worse, same, unclear
    PRIMARY KEY (run, position)
) WITHOUT ROWID;

CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    arm TEXT NOT NULL,
    workload TEXT,
    runs TEXT,                      -- the workload's tool and parameters in a line
    metric TEXT NOT NULL,
    unit TEXT NOT NULL,
    better TEXT NOT NULL,
    dims TEXT NOT NULL,             -- of the metric: a JSON object of strings, keys sorted
    at TEXT NOT NULL,               -- the place in the matrix, likewise
    provenance TEXT NOT NULL,
    boots INTEGER NOT NULL,
    by_boot BLOB NOT NULL           -- one value for each boot, by block: 64-bit floats, little-endian
);

CREATE INDEX series_by_metric ON series (metric, run);
CREATE INDEX series_by_run ON series (run);
