//! Where the network is: no keys as plain text across it, unless a proxy is said to be there.

use std::io::Write;

use super::{Door, first_line, init, rest};
use crate::harness::{Home, run, said};

#[test]
fn plain_text_stays_on_this_machine() {
    let home = Home::in_a_folder();
    init(&home);
    for address in ["0.0.0.0:0", "[::]:0"] {
        let refused = run(&["serve", "--store", &home.store(), "--listen", address]);
        let said = said(&refused);
        // Where there is no IPv6, listening fails first.
        if said.contains("can't listen on [::]") {
            continue;
        }
        assert_eq!(refused.status.code(), Some(1), "{said}");
        for cure in [address, "--tls-cert", "--behind-proxy", "127.0.0.1"] {
            assert!(said.contains(cure), "{cure} in {said}");
        }
    }
}

/// Who a client is, is believed of the proxy alone, and of what it says the last.
#[test]
fn forwarded_addresses_count_behind_a_proxy() {
    for (options, client) in [(&["--behind-proxy"][..], "203.0.113.9"), (&[], "127.0.0.1")] {
        let door = Door::with("request_seconds = 1", options);
        let mut stream = door.connect();
        let head = format!(
            "POST /api/v1/clients HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nX-Forwarded-For: 192.0.2.1\r\n\
             X-Forwarded-For: 198.51.100.7, 203.0.113.9\r\nConnection: close\r\nContent-Length: 9\r\n\r\n",
            door.token
        );
        stream.write_all(head.as_bytes()).expect("sent");
        // The body does not come, and what takes more than a second is logged, with the client's address.
        assert_eq!(first_line(&rest(&mut stream)), "HTTP/1.1 400 Bad Request");
        let log = door.server.log();
        assert!(
            log.contains("slow answer") && log.contains(&format!("client={client}")),
            "{log}"
        );
    }
}
