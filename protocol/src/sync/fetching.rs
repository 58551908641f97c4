//! Decides from whom a document is fetched where several peers could give it.
//!
//! Whoever has nothing differs from everybody, and each peer would send all of it. So while one
//! brings news page after page, the others are not asked on; they are as soon as it ends, pauses or
//! has had its time, so a peer can hold up what others have for [`FETCH_TIME_MAX`] and no longer.

use crate::ids::{DeviceKey, DocumentKey, EntityId};
use crate::replicator::Replicator;
use crate::time::{Duration, Instant};

/// How long the one who is asked may bring nothing new.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long one peer is waited for in all.
const FETCH_TIME_MAX: Duration = Duration::from_secs(20);

/// From whom a document is being fetched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fetching {
    from: DeviceKey,
    entity: EntityId,
    began: Instant,
    news: Instant,
}

impl Fetching {
    /// Whether this peer is not to be asked for now, as another one is bringing the document.
    pub(super) fn holds_up(&self, peer: DeviceKey, now: Instant) -> bool {
        self.from != peer && now < self.ends()
    }

    fn ends(&self) -> Instant {
        (self.news + PATIENCE).min(self.began + FETCH_TIME_MAX)
    }
}

impl Replicator {
    /// A page came: whether its sender is to be asked for the next one, of which it has `more`.
    ///
    /// Who brings nothing new while another one brings all is not; it is asked when that ends.
    pub(crate) fn goes_on(
        &mut self,
        (entity, document): (EntityId, DocumentKey),
        from: DeviceKey,
        has_news: bool,
        more: bool,
    ) -> bool {
        let elsewhere = self.fetching.get(&document);
        let is_held_up = elsewhere.is_some_and(|fetching| fetching.holds_up(from, self.now.instant));
        match (has_news, more) {
            (true, true) => self.fetch(entity, document, from),
            (_, false) => self.fetched(document, from),
            (false, true) => {}
        }
        more && (has_news || !is_held_up)
    }

    /// A peer was asked for all of a document, or brought some of it and has more.
    pub(super) fn fetch(&mut self, entity: EntityId, document: DocumentKey, from: DeviceKey) {
        let now = self.now.instant;
        let new = Fetching { from, entity, began: now, news: now };
        let fetching = self.fetching.entry(document).or_insert(new);
        if fetching.from == from {
            fetching.news = now;
        }
        self.out.wake_at(fetching.ends());
        self.use_document(entity, document);
    }

    /// A peer brought the last of what it has: the others are asked what it had not.
    fn fetched(&mut self, document: DocumentKey, from: DeviceKey) {
        let fetching = self.fetching.get(&document).filter(|fetching| fetching.from == from);
        if let Some(entity) = fetching.map(|fetching| fetching.entity) {
            self.end_fetching(document);
            // There is room in memory for another segment now, which it may have too.
            self.compare_documents(from, entity);
        }
    }

    /// A document was read: if it is as its giver said that its own stands, nothing more comes.
    pub(crate) fn look_fetched(&mut self, id: EntityId, document: DocumentKey) {
        let Some(from) = self.fetching.get(&document).map(|fetching| fetching.from) else { return };
        let ours = self.entities.get(&id).and_then(|entity| entity.replicas.get(&document));
        let shared = self.sessions.get(&from).and_then(|session| session.shared.get(&id));
        let theirs = shared.and_then(|shared| shared.theirs.as_ref()?.of(document));
        if ours.zip(theirs).is_some_and(|(ours, theirs)| ours.heads.digest() == theirs.vector) {
            self.fetched(document, from);
        }
    }

    /// A peer is gone.
    pub(super) fn stop_fetching(&mut self, from: DeviceKey) {
        self.end_where(|fetching| fetching.from == from);
    }

    /// A peer keeps a document no longer.
    pub(super) fn stop_fetching_of(&mut self, document: DocumentKey, from: DeviceKey) {
        self.fetched(document, from);
    }

    /// Ends what takes too long.
    pub(super) fn tend_fetching(&mut self) {
        let now = self.now.instant;
        self.end_where(|fetching| fetching.ends() <= now);
        if let Some(next) = self.fetching.values().map(Fetching::ends).min() {
            self.out.wake_at(next);
        }
    }

    fn end_where(&mut self, is_over: impl Fn(&Fetching) -> bool) {
        let over = self.fetching.iter().filter(|(_, fetching)| is_over(fetching));
        for document in over.map(|(document, _)| *document).collect::<Vec<_>>() {
            self.end_fetching(document);
        }
    }

    /// The others are asked what there is. Whoever was asked till now may be at it still: asked once
    /// more it would send twice.
    fn end_fetching(&mut self, document: DocumentKey) {
        if let Some(Fetching { from, entity, .. }) = self.fetching.remove(&document) {
            self.compare_all_but(entity, Some(from));
        }
    }
}
