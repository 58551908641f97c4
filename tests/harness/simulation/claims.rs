//! Holds what nodes say of being in sync against what they and their peers really hold.
use fourword_protocol::ids::DeviceKey;

use super::verdict::Violation;
use super::world::World;
use crate::cluster::Cluster;

/// What nodes said, and how they stood when they told.
#[derive(Debug, Default)]
pub(super) struct Claims {}

impl Claims {
    pub(super) fn received(&mut self, _: &Cluster, _: &str, _: DeviceKey, _: &[u8]) {}
    pub(super) fn sent(&mut self, _: &Cluster, _: &World, _: &str, _: DeviceKey, _: &[u8]) {}
    pub(super) fn changed(&mut self, _: &str) {}
    pub(super) fn look(&mut self, _: &mut Cluster, _: &World) -> Result<(), Violation> {
        Ok(())
    }
}
