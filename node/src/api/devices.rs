//! The devices of this person: shown, linked, revoked.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use fourword_protocol::command::{Command, DeviceCommand, DeviceView, Reply};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::operation::Unkept;
use super::{Api, text};

/// All devices of this person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Devices {
    /// Senior to junior.
    pub devices: Vec<Device>,
}

/// One device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Device {
    /// Its key; the first digits name it.
    pub device: String,
    /// The device as libp2p names it.
    pub peer_id: Option<String>,
    /// Whether it is this one.
    pub here: bool,
    /// Whether it is connected now, or this one.
    pub online: bool,
    /// Whether it was revoked.
    pub revoked: bool,
    /// The device that linked it; null for the recovery phrase.
    pub certified_by: Option<String>,
}

/// A code that links one new device.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Linking {
    /// The code. For some minutes whoever holds it becomes a device of this person.
    pub code: String,
    /// The same as a link.
    pub link: String,
}

/// The answer when a device was revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revoked {
    /// Which, as it was asked.
    pub device: String,
    /// Always true.
    pub revoked: bool,
}

impl From<DeviceView> for Device {
    fn from(view: DeviceView) -> Device {
        Device {
            device: view.device.to_string(),
            peer_id: text::peer_id(&view.device),
            here: view.here,
            online: view.online,
            revoked: view.revoked,
            certified_by: view.certified_by.map(|device| device.to_string()),
        }
    }
}

/// `GET /api/v1/devices`
pub async fn list(State(api): State<Api>) -> Result<Json<Devices>, Problem> {
    let Reply::Devices(devices) = api.ask(Command::Device(DeviceCommand::List)).await? else {
        return Err(Problem::mismatch());
    };
    Ok(Json(Devices { devices: devices.into_iter().map(Device::from).collect() }))
}

/// `POST /api/v1/devices`: makes a code for one new device.
pub async fn add(State(api): State<Api>) -> Result<Unkept<Linking>, Problem> {
    let command = DeviceCommand::Add { addresses: api.addresses() };
    let Reply::Link(code) = api.ask(Command::Device(command)).await? else { return Err(Problem::mismatch()) };
    let linking = Linking { link: code.link(), code: code.to_string() };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(linking)))
}

/// `DELETE /api/v1/devices/{device}`: ends a device for good.
pub async fn revoke(State(api): State<Api>, Path(device): Path<String>) -> Result<Json<Revoked>, Problem> {
    let digits = text::digits(&device, "a device", "`fourword device list` shows them")?;
    let command = Command::Device(DeviceCommand::Revoke { device: digits });
    api.act(command).await?;
    Ok(Json(Revoked { device, revoked: true }))
}
