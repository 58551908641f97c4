//! `group`: make, list, show, set and leave groups, and see who is in them.

use fourword_protocol::schema::core::LAPSE_DAYS_MAX;
use hyper::Method;

use super::Context;
use super::canvas;
use super::client::{Client, path};
use super::failure::{Exit, Failure};
use super::member;
use super::output::{plain, plain_lines, time};
use super::thing::{self, person};
use crate::api::canvases::Canvas;
use crate::api::error::Code;
use crate::api::groups::{Core, CoreMember, Group, Groups, Left, NewGroup, NewSettings};
use crate::api::presence::{Doing, Pointing, Present, Seen};
use crate::api::things::is_named;

/// What can be done with groups.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Make a group and find its four words, which takes seconds.
    #[command(
        after_help = "Examples:\n  fourword group create \"Our team\"\n  fourword group create Coffee --kind channel --parent ocean-forest-moon-star"
    )]
    Create {
        /// Its name.
        name: String,
        /// What it is for.
        #[arg(long, default_value = "group", value_parser = ["group", "channel", "project", "organization"])]
        kind: String,
        /// The four words of what it belongs to: the members of that are its members.
        #[arg(long, value_name = "WORDS")]
        parent: Option<String>,
    },
    /// List all groups you are in.
    #[command(after_help = "Example:\n  fourword group list --json")]
    List,
    /// Show one group.
    #[command(after_help = "Example:\n  fourword group show ocean-forest-moon-star")]
    Show {
        /// The group's four words.
        words: String,
    },
    /// Show who made a group, what belongs to it, and who is and was in.
    #[command(after_help = "Example:\n  fourword group core ocean-forest-moon-star")]
    Core {
        /// The group's four words.
        words: String,
    },
    /// Show who is in a group.
    #[command(after_help = "Example:\n  fourword group members ocean-forest-moon-star")]
    Members {
        /// The group's four words.
        words: String,
    },
    /// Show who of those connected is on the canvas or writes a message at the moment.
    #[command(after_help = "Example:\n  fourword group present ocean-forest-moon-star")]
    Present {
        /// The group's four words.
        words: String,
    },
    /// Show those who are connected that you are on the canvas or write a message.
    ///
    /// It is seen for ten seconds, then not any more unless it is shown again. Nothing of it is kept.
    #[command(
        after_help = "Examples:\n  fourword group appear ocean-forest-moon-star chat\n  fourword group appear ocean-forest-moon-star canvas --at 40,60 --selected 3q7mzcda\n  fourword group appear ocean-forest-moon-star canvas --gone"
    )]
    Appear {
        /// The group's four words.
        words: String,
        /// Where: on the canvas, or writing in the chat.
        scene: Scene,
        #[command(flatten)]
        there: There,
    },
    /// Change the name, description or a setting of a group; admins may.
    Set {
        /// The group's four words.
        words: String,
        #[command(subcommand)]
        setting: Setting,
    },
    /// Leave a group for good.
    #[command(after_help = "Example:\n  fourword group leave ocean-forest-moon-star")]
    Leave {
        /// The group's four words.
        words: String,
    },
}

/// Where somebody is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Scene {
    Canvas,
    Chat,
}

/// What one does there.
#[derive(Debug, clap::Args)]
pub(super) struct There {
    /// How far across and down on the canvas you point.
    #[arg(long, value_name = "X,Y", value_parser = canvas::pair, allow_hyphen_values = true)]
    at: Option<[f64; 2]>,
    /// An element that you have selected; may be given several times.
    #[arg(long, value_name = "ID")]
    selected: Vec<String>,
    /// You are there no more.
    #[arg(long, conflicts_with_all = ["at", "selected"])]
    gone: bool,
}

/// What admins can settle.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Setting {
    /// Its name.
    #[command(after_help = "Example:\n  fourword group set ocean-forest-moon-star name \"Tea and talk\"")]
    Name {
        /// One line.
        name: String,
    },
    /// What it is for.
    #[command(
        after_help = "Example:\n  fourword group set ocean-forest-moon-star description \"All about the kitchen\""
    )]
    Description {
        /// Any text; \"\" takes it away.
        text: String,
    },
    /// The website that it publishes.
    #[command(after_help = "Example:\n  fourword group set ocean-forest-moon-star website none")]
    Website {
        /// The hash of its manifest, 64 digits; \"none\" takes it away.
        hash: String,
    },
    /// Whether newcomers can read what was written before they came.
    #[command(
        after_help = "Example:\n  fourword group set ocean-forest-moon-star newcomers-read-history off"
    )]
    NewcomersReadHistory {
        /// on or off.
        #[arg(value_parser = ["on", "off"])]
        value: String,
    },
    /// Days after which a silent device holds nothing back that others wait to forget.
    #[command(after_help = "Example:\n  fourword group set ocean-forest-moon-star lapse-days 60")]
    LapseDays {
        /// How many.
        #[arg(value_parser = clap::value_parser!(u16).range(1..=i64::from(LAPSE_DAYS_MAX)))]
        days: u16,
    },
}

impl From<Setting> for NewSettings {
    fn from(setting: Setting) -> NewSettings {
        let mut new = NewSettings::default();
        match setting {
            Setting::Name { name } => new.name = Some(name),
            Setting::Description { text } => new.description = Some(text),
            Setting::Website { hash } => {
                new.website = Some(if hash == "none" { String::new() } else { hash });
            }
            Setting::NewcomersReadHistory { value } => new.newcomers_read_history = Some(value == "on"),
            Setting::LapseDays { days } => new.lapse_days = Some(days),
        }
        new
    }
}

pub(super) async fn run(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    let (client, output) = (context.client(), context.output);
    match verb {
        Verb::Create { name, kind, parent } => {
            let new = NewGroup { name, kind, parent };
            let group: Group = client.send_long("/api/v1/groups", &new, output).await?;
            output.answer(&group, |group| {
                let (words, name) = (&group.words, plain(&group.name));
                let next = match &group.parent {
                    Some(parent) => format!("Whoever is in {parent} finds it there."),
                    None => format!("Invite somebody:\n  fourword invite {words}"),
                };
                format!("{words}\n\nThese four words name \"{name}\". {next}")
            })?;
        }
        Verb::List => {
            let groups: Groups = client.get("/api/v1/groups").await?;
            output.answer(&groups, list_text)?;
        }
        Verb::Show { words } => {
            let group: Group = client.get(&path(["groups", &words])).await?;
            output.answer(&group, |group| {
                let role = group.role.as_deref().unwrap_or("none");
                let parent = group.parent.as_ref().map(|p| format!("\npart of  {p}")).unwrap_or_default();
                format!(
                    "{}  {}
kind     {}{parent}
role     {role}
members  {}
id       {}
{}{}",
                    group.words,
                    plain(&group.name),
                    group.kind,
                    group.members,
                    group.id,
                    about_text(group),
                    settings_text(group),
                )
            })?;
        }
        Verb::Core { words } => {
            let core: Core = client.get(&path(["groups", &words, "core"])).await?;
            output.answer(&core, core_text)?;
        }
        Verb::Members { words } => return member::list(&words, context).await,
        Verb::Present { words } => {
            let present: Present = client.get(&path(["groups", &words, "presence"])).await?;
            output.answer(&present, present_text)?;
        }
        Verb::Appear { words, scene, there } => return appear(&words, scene, there, context).await,
        Verb::Set { words, setting } => {
            let place = path(["groups", &words, "settings"]);
            let group: Group = client.send(Method::PATCH, &place, &NewSettings::from(setting)).await?;
            output.answer(&group, |group| {
                format!("name     {}\n{}{}", plain(&group.name), about_text(group), settings_text(group))
            })?;
        }
        Verb::Leave { words } => {
            context.confirm(&format!("Leave {} for good?", plain(&words)))?;
            let left: Left = client.act(Method::DELETE, &path(["groups", &words])).await?;
            output.answer(&left, |left| format!("You have left {}.", left.words))?;
        }
    }
    Ok(Exit::Done)
}

/// Shows that one is there, or no more.
async fn appear(words: &str, scene: Scene, there: There, context: &Context) -> Result<Exit, Failure> {
    let There { at, selected, gone } = there;
    let client = context.client();
    if scene == Scene::Chat && (at.is_some() || !selected.is_empty()) {
        return Err(Failure::usage("places and elements are on the canvas: give canvas instead of chat"));
    }
    if gone {
        let scene = if scene == Scene::Chat { "chat" } else { "canvas" };
        let told = client.act(Method::DELETE, &path(["groups", words, "presence", scene])).await?;
        return thing::finished(&told, context);
    }
    let doing = match scene {
        Scene::Chat => Doing::Typing,
        Scene::Canvas => {
            let selected = whole_names(words, selected, &client).await?;
            Doing::Pointing(Pointing { at, selected })
        }
    };
    let told = client.send(Method::PUT, &path(["groups", words, "presence"]), &doing).await?;
    thing::finished(&told, context)
}

/// The whole ids of the elements of a canvas that these digits begin.
async fn whole_names(words: &str, names: Vec<String>, client: &Client) -> Result<Vec<String>, Failure> {
    if names.is_empty() {
        return Ok(names);
    }
    let canvas: Canvas = client.get(&path(["groups", words, "canvas"])).await?;
    let whole = |name: String| {
        let mut fitting = canvas.elements.iter().filter(|element| is_named(&element.id, &name));
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Ok(only.id.clone()),
            (Some(_), Some(_)) => {
                let message = format!("\"{}\" may be several elements", plain(&name));
                Err(Failure::new(Code::Usage, message, "give more of the id"))
            }
            (None, _) => {
                let message = format!("no element is named \"{}\"", plain(&name));
                Err(Failure::new(Code::NotFound, message, "`fourword canvas show` shows the ids of all"))
            }
        }
    };
    names.into_iter().map(whole).collect()
}

fn core_text(core: &Core) -> String {
    let about = &core.metadata;
    let known = |id: &String| core.members.get(id).map_or_else(|| plain(id), member_text);
    let made = format!("made     {} by {}", time(about.created_at), known(&about.created_by));
    let parts = core.children.iter().map(|words| format!("part     {}", plain(words)));
    let members = core.members.values().map(|member| {
        let named = member_text(member);
        let by: Vec<String> =
            member.deleted_by.iter().filter(|by| **by != member.member_id).map(known).collect();
        match &member.role {
            Some(role) => format!("in       {named}, {}", plain(role)),
            None if by.is_empty() => format!("was in   {named}, left"),
            None => format!("was in   {named}, removed by {}", by.join(" and ")),
        }
    });
    let title = format!("{}  {}  ({})", about.four_words, plain(&about.name), plain(&about.entity_type));
    [title, made].into_iter().chain(parts).chain(members).collect::<Vec<_>>().join("\n")
}

fn member_text(member: &CoreMember) -> String {
    match member.name.as_str() {
        "" => plain(&member.four_words),
        name => format!("{} ({})", plain(&member.four_words), plain(name)),
    }
}

/// What it says of itself beside its name, a line each.
fn about_text(group: &Group) -> String {
    let lines = |text: &str| plain_lines(text, "         ");
    let description = Some(&group.description).filter(|text| !text.is_empty());
    let description = description.map(|text| format!("about    {}\n", lines(text))).unwrap_or_default();
    let website =
        group.website.as_ref().map(|hash| format!("website  {}\n", plain(hash))).unwrap_or_default();
    description + &website
}

fn settings_text(group: &Group) -> String {
    let history = if group.settings.newcomers_read_history { "on" } else { "off" };
    format!("newcomers-read-history  {history}\nlapse-days              {}", group.settings.lapse_days)
}

fn present_text(present: &Present) -> String {
    if present.present.is_empty() {
        return "Nobody who is connected is seen on the canvas or writing.".into();
    }
    let line = |seen: &Seen| {
        let doing = match &seen.doing {
            Doing::Typing => "writes a message".into(),
            Doing::Pointing(Pointing { at, selected }) => {
                let at = at.map(|[across, down]| format!(" at {across}, {down}")).unwrap_or_default();
                let selected = match selected.len() {
                    0 => String::new(),
                    1 => ", 1 element selected".into(),
                    many => format!(", {many} elements selected"),
                };
                format!("is on the canvas{at}{selected}")
            }
        };
        format!("{} {doing}", person(&seen.person))
    };
    present.present.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn list_text(groups: &Groups) -> String {
    if groups.groups.is_empty() {
        return "You are in no group yet: fourword group create NAME, or fourword join WORDS".into();
    }
    let line = |group: &Group| {
        let role = group.role.as_deref().unwrap_or("not a member");
        let part = group.parent.as_ref().map(|parent| format!(" of {parent}")).unwrap_or_default();
        let (name, kind) = (plain(&group.name), &group.kind);
        format!("{}  {name}  ({kind}{part}, {role}, {} in it)", group.words, group.members)
    };
    groups.groups.iter().map(line).collect::<Vec<_>>().join("\n")
}
