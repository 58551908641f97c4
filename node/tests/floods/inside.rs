//! What is inside a home, for who looks whether a bystander has seen it: keys, topics, greetings.

use std::collections::BTreeSet;

use fourword_protocol::effect::Effect;
use fourword_protocol::epoch;
use fourword_protocol::event::Event;
use fourword_protocol::identity::DeviceSecret;
use fourword_protocol::ids::{DocumentKey, EntityId, Topic};
use fourword_protocol::record::{Page, Query};
use fourword_protocol::replicator::{Replicator, Settings};
use fourword_protocol::roster::{Body, Roster, Statement};
use fourword_protocol::schema::{self, Concern};
use fourword_protocol::time::Now;
use fourword_protocol::words::Naming;
use fourword_storage::{DiskStore, Store};

use crate::daemon::Home;

/// What one home has, whose node does not run.
pub(crate) struct Inside {
    pub(crate) device: DeviceSecret,
    /// The gossip topics that its node takes part in.
    pub(crate) topics: BTreeSet<Topic>,
    statements: Vec<(EntityId, Vec<u8>)>,
}

impl Inside {
    /// Opens a home as its node would.
    pub(crate) fn of(home: &Home) -> Inside {
        let store = DiskStore::open(home.path(), None).unwrap().store;
        let Page::Opening { statements, .. } = store.read(&Query::Opening).unwrap() else {
            panic!("another page than was asked for")
        };
        let mut machine = Replicator::new(Settings::new([0; 32], Naming::Standard));
        let mut effects = machine.handle(Now::default(), Event::Started { clean: true });
        let (mut device, mut topics) = (None, BTreeSet::new());
        while !effects.is_empty() {
            let mut next = Vec::new();
            for effect in effects {
                match effect {
                    Effect::Listen(secret) => device = Some(secret),
                    Effect::Subscribe(topic) => drop(topics.insert(topic)),
                    Effect::Load(id, query) => {
                        let page = store.read(&query).unwrap();
                        next.extend(machine.handle(Now::default(), Event::Loaded(id, Ok(page))));
                    }
                    _ => {}
                }
            }
            effects = next;
        }
        let statements = statements.into_iter().map(|(entity, _, bytes)| (entity, bytes)).collect();
        store.close().unwrap();
        Inside { device: device.unwrap(), topics, statements }
    }

    /// The secret that the members of an entity share.
    pub(crate) fn secret(&self, entity: EntityId) -> epoch::EntitySecret {
        let of_it = self.statements.iter().filter(|(of, _)| *of == entity);
        let statements: Vec<Statement> = of_it.map(|(_, bytes)| Statement::read(bytes).unwrap()).collect();
        let genesis = |statement: &&Statement| matches!(statement.body(), Body::Genesis(_));
        let genesis = statements.iter().find(genesis).unwrap();
        let mut roster = Roster::new(genesis.clone()).unwrap();
        statements.iter().for_each(|statement| drop(roster.insert(statement.bytes())));
        let opened = roster.seals_for(&self.device.key()).into_iter().find_map(|(id, seal)| {
            let Some(Body::Epoch { commitment, .. }) = roster.statement(&id).map(Statement::body) else {
                return None;
            };
            let committed = roster.genesis().secret_commitment;
            epoch::open(entity, *commitment, committed, &seal.sealed, &self.device)
        });
        opened.unwrap().1
    }
}

/// The names under which the documents of an entity travel.
pub(crate) fn documents(secret: &epoch::EntitySecret) -> [DocumentKey; 2] {
    [Concern::Core, Concern::Chat].map(|concern| schema::document_key(secret.bytes(), &concern, 1))
}
