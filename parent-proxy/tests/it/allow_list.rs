//! The allow-list that is checked in is the connectors' list.

use parent_proxy::allow_list::AllowList;

#[test]
fn the_file_lists_exactly_the_hosts_of_the_connectors() {
    let list = AllowList::parse(include_str!("../../allow-list.toml")).unwrap();
    let hosts = exchanges::hosts();
    let connectors: Vec<_> = hosts.iter().map(|host| (host.name, host.port)).collect();
    assert!(!connectors.is_empty());
    assert_eq!(list.names(), connectors);
    for (name, port) in connectors {
        let allowed = list.find(name, port).unwrap();
        assert!(!allowed.private_ok, "{name} may resolve to a private address");
        assert_eq!(allowed.connect_to, None, "{name} is sent elsewhere");
    }
}

#[test]
fn the_deployment_has_the_bound_that_the_enclave_has() {
    assert_eq!(parent_proxy::limits::DEPLOYMENT_LEN_MAX, protocol::limits::DEPLOYMENT_LEN_MAX);
}
