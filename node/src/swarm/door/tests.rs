//! The door is asked as a swarm asks it, with connections that exist on paper only.

use libp2p::swarm::behaviour::{ConnectionClosed, ConnectionEstablished, ListenFailure};
use libp2p::swarm::{DialError, DialFailure, ListenError};

use super::*;

const BOUNDS: Bounds = Bounds {
    handshakes_per_network: 3,
    guests: 6,
    guests_per_network: 4,
    visits: 2,
    stay: Duration::from_secs(60),
};

const HERE: &str = "/ip4/192.0.2.100/tcp/4001";

fn address(text: &str) -> Multiaddr {
    text.parse().unwrap()
}

fn from(network: u8, port: usize) -> Multiaddr {
    address(&format!("/ip4/198.51.100.{network}/tcp/{port}"))
}

/// A door and the connections through it, numbered as they come.
struct House {
    door: Door,
    next: usize,
}

impl House {
    fn new() -> House {
        House { door: Door::new(BOUNDS), next: 0 }
    }

    fn number(&mut self) -> ConnectionId {
        self.next += 1;
        ConnectionId::new_unchecked(self.next)
    }

    fn knock(&mut self, remote: &Multiaddr) -> Result<ConnectionId, ConnectionDenied> {
        let connection = self.number();
        self.door.handle_pending_inbound_connection(connection, &address(HERE), remote)?;
        Ok(connection)
    }

    /// A handshake that fails.
    fn give_up(&mut self, connection: ConnectionId, remote: &Multiaddr) {
        self.door.on_swarm_event(FromSwarm::ListenFailure(ListenFailure {
            local_addr: &address(HERE),
            send_back_addr: remote,
            error: &ListenError::Aborted,
            connection_id: connection,
            peer_id: None,
        }));
    }

    /// A connection from outside; false if it is turned away.
    fn enter(&mut self, peer: PeerId, remote: &Multiaddr) -> Result<ConnectionId, ConnectionDenied> {
        let connection = self.knock(remote)?;
        let entered =
            self.door.handle_established_inbound_connection(connection, peer, &address(HERE), remote);
        let at = ConnectedPoint::Listener { local_addr: address(HERE), send_back_addr: remote.clone() };
        if let Err(denied) = entered {
            self.give_up(connection, remote);
            return Err(denied);
        }
        self.established(connection, peer, &at);
        Ok(connection)
    }

    fn visit(&mut self, peer: PeerId, remote: &Multiaddr) -> Result<ConnectionId, ConnectionDenied> {
        let connection = self.number();
        let addresses = [remote.clone()];
        let dialer = Endpoint::Dialer;
        self.door.handle_pending_outbound_connection(connection, Some(peer), &addresses, dialer)?;
        let (role_override, port_use) = (dialer, PortUse::New);
        self.door.handle_established_outbound_connection(
            connection,
            peer,
            remote,
            role_override,
            port_use,
        )?;
        let at = ConnectedPoint::Dialer { address: remote.clone(), role_override, port_use };
        self.established(connection, peer, &at);
        Ok(connection)
    }

    fn established(&mut self, connection_id: ConnectionId, peer_id: PeerId, endpoint: &ConnectedPoint) {
        self.door.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
            peer_id,
            connection_id,
            endpoint,
            failed_addresses: &[],
            other_established: 0,
        }));
    }

    fn leave(&mut self, connection_id: ConnectionId, peer_id: PeerId) {
        let at = ConnectedPoint::Listener { local_addr: address(HERE), send_back_addr: from(1, 1) };
        self.door.on_swarm_event(FromSwarm::ConnectionClosed(ConnectionClosed {
            peer_id,
            connection_id,
            endpoint: &at,
            cause: None,
            remaining_established: 0,
        }));
    }

    fn sent_away(&mut self) -> Option<PeerId> {
        self.door.closing.pop_front().map(|(peer, _)| peer)
    }
}

#[test]
fn handshakes_of_one_network_take_nothing_from_those_of_another() {
    let mut house = House::new();
    let open: Vec<ConnectionId> =
        (0..BOUNDS.handshakes_per_network).map(|port| house.knock(&from(1, port)).unwrap()).collect();
    assert!(house.knock(&from(1, 99)).is_err());
    assert!(house.knock(&from(2, 99)).is_ok());
    house.give_up(open[0], &from(1, 0));
    assert!(house.knock(&from(1, 99)).is_ok(), "one that failed makes room");
    assert_eq!(house.door.turned_away(), 1);
}

#[test]
fn guests_of_one_network_leave_room_for_others_and_all_guests_for_members() {
    let mut house = House::new();
    for port in 0..BOUNDS.guests_per_network {
        house.enter(PeerId::random(), &from(1, port)).unwrap();
    }
    assert!(house.enter(PeerId::random(), &from(1, 9)).is_err());
    let last = PeerId::random();
    house.enter(PeerId::random(), &from(2, 1)).unwrap();
    let place = house.enter(last, &from(3, 1)).unwrap();
    assert!(house.enter(PeerId::random(), &from(4, 1)).is_err(), "all guests together");

    let member = PeerId::random();
    house.door.know(BTreeSet::from([member]));
    assert!(house.enter(member, &from(1, 9)).is_ok(), "though its network has too many guests already");
    assert_eq!(house.door.guests.len(), BOUNDS.guests);
    house.leave(place, last);
    assert!(house.enter(PeerId::random(), &from(4, 1)).is_ok());
}

#[test]
fn who_becomes_a_member_gives_its_guests_place_to_another() {
    let mut house = House::new();
    let peers: Vec<PeerId> = (0..BOUNDS.guests).map(|_| PeerId::random()).collect();
    for (number, peer) in peers.iter().enumerate() {
        house.enter(*peer, &from(number as u8, 1)).unwrap();
    }
    assert!(house.enter(PeerId::random(), &from(99, 1)).is_err());
    house.door.know(BTreeSet::from([peers[0]]));
    assert!(house.enter(PeerId::random(), &from(99, 1)).is_ok());
}

#[test]
fn a_guest_that_had_its_time_makes_room_for_the_next_the_longest_one_first() {
    for (stay, goes) in [(BOUNDS.stay, false), (Duration::ZERO, true)] {
        let mut house = House::new();
        house.door.bounds.stay = stay;
        let peers: Vec<PeerId> = (0..BOUNDS.guests).map(|_| PeerId::random()).collect();
        for (number, peer) in peers.iter().enumerate() {
            house.enter(*peer, &from(number as u8, 1)).unwrap();
        }
        assert_eq!(house.enter(PeerId::random(), &from(99, 1)).is_ok(), goes);
        assert_eq!(house.sent_away(), goes.then_some(peers[0]));
        assert_eq!(house.enter(PeerId::random(), &from(98, 1)).is_ok(), goes);
        assert_eq!(house.sent_away(), goes.then_some(peers[1]), "the first one is on its way out already");
    }
}

#[test]
fn a_crowd_from_one_network_makes_room_for_its_own_alone() {
    let mut house = House::new();
    house.door.bounds.stay = Duration::ZERO;
    let other = PeerId::random();
    house.enter(other, &from(2, 1)).unwrap();
    for port in 0..3 * BOUNDS.guests_per_network {
        house.enter(PeerId::random(), &from(1, port)).unwrap();
    }
    while let Some(peer) = house.sent_away() {
        assert_ne!(peer, other);
    }
}

#[test]
fn few_guests_are_visited_and_any_member() {
    let mut house = House::new();
    for number in 0..BOUNDS.visits {
        house.visit(PeerId::random(), &from(number as u8, 1)).unwrap();
    }
    assert!(house.visit(PeerId::random(), &from(9, 1)).is_err());
    let member = PeerId::random();
    house.door.know(BTreeSet::from([member]));
    assert!(house.visit(member, &from(9, 1)).is_ok());
    assert!(house.enter(PeerId::random(), &from(9, 1)).is_ok(), "those who come have places of their own");
}

#[test]
fn dials_that_lead_nowhere_take_no_more_than_their_share_and_give_it_back() {
    let mut house = House::new();
    let under_way: Vec<ConnectionId> = (0..BOUNDS.visits)
        .map(|port| {
            let connection = house.number();
            let to = [from(1, port)];
            let peer = Some(PeerId::random());
            house.door.handle_pending_outbound_connection(connection, peer, &to, Endpoint::Dialer).unwrap();
            connection
        })
        .collect();
    assert!(house.visit(PeerId::random(), &from(1, 9)).is_err());
    house.door.on_swarm_event(FromSwarm::DialFailure(DialFailure {
        peer_id: None,
        error: &DialError::Aborted,
        connection_id: under_way[0],
    }));
    assert!(house.visit(PeerId::random(), &from(1, 9)).is_ok());
}

#[test]
fn whom_a_query_was_told_of_is_not_dialled() {
    let mut house = House::new();
    let (connection, stranger) = (house.number(), Some(PeerId::random()));
    assert!(
        house.door.handle_pending_outbound_connection(connection, stranger, &[], Endpoint::Dialer).is_err()
    );
}

#[test]
fn an_address_or_what_one_customer_is_given_is_a_network() {
    let same = |a: &str, b: &str| Network::of(&address(a)) == Network::of(&address(b));
    assert!(same("/ip4/192.0.2.1/tcp/1", "/ip4/192.0.2.1/udp/2/quic-v1"));
    assert!(!same("/ip4/192.0.2.1/tcp/1", "/ip4/192.0.2.2/tcp/1"));
    assert!(same("/ip6/2001:db8:1:2::3/tcp/1", "/ip6/2001:db8:1:ffff::9/tcp/1"));
    assert!(!same("/ip6/2001:db8:1::1/tcp/1", "/ip6/2001:db8:2::1/tcp/1"));
    assert!(same("/ip6/::ffff:192.0.2.1/tcp/1", "/ip4/192.0.2.1/tcp/1"));
    let relayed = format!("/ip4/192.0.2.1/tcp/1/p2p/{}/p2p-circuit", PeerId::random());
    assert_eq!(Network::of(&address(&relayed)), Network::Hidden);
    assert_eq!(Network::of(&address(&format!("/p2p/{}", PeerId::random()))), Network::Hidden);
}
