//! Dumps of generic netlink families, as they come: `netlink:FAMILY/COMMAND`.

use netlink::Family;

use super::MOST;

/// Every message of a dump, headers and the last one (NLMSG_DONE) included.
pub(super) fn dump(name: &str) -> Result<Vec<u8>, String> {
    let parsed = name.split_once('/').and_then(|(family, command)| Some((family, command.parse().ok()?)));
    let Some((family, command)) = parsed else {
        return Err(format!("`{name}` is not FAMILY/COMMAND, with the command's number"));
    };
    let family = Family::open(family).map_err(|refusal| refusal.to_string())?;
    let messages =
        family.messages(command, MOST).map_err(|refusal| format!("asking for a dump: {refusal}"))?;
    messages.ok_or_else(|| format!("larger than {MOST} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_controller_dumps_itself_among_the_families() {
        let families = dump("nlctrl/3").unwrap();
        assert!(families.windows(7).any(|name| name == b"nlctrl\0"));
        let kind = families.get(4..6).unwrap();
        assert_eq!(kind, 16_u16.to_ne_bytes(), "a message of the controller's");
    }

    #[test]
    fn what_cannot_be_dumped_is_told() {
        assert!(
            dump("nosuch/1").unwrap_err().starts_with("the kernel has no generic netlink family `nosuch`")
        );
        assert!(dump("nlctrl").unwrap_err().contains("FAMILY/COMMAND"));
        assert!(dump("nlctrl/x").unwrap_err().contains("FAMILY/COMMAND"));
        assert!(dump("nlctrl/200").is_err(), "there is no such command");
    }
}
