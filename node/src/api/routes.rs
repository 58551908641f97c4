//! All operations of the API, each once: what is served, and what the document tells of.

use super::operation::{Operation, Table};
use super::{
    boards, canvases, chat, devices, documents, events, groups, history, identity, inbox, invites,
    issue_file, issues, joins, log, members, metrics, node, openapi, pictures, presence, requests, search,
    sync, tombstones, undo,
};

/// Where the API begins.
const V1: &str = "/api/v1";

/// Where one group begins.
const GROUP: &str = "/api/v1/groups/{words}";

/// All operations.
pub(super) fn all() -> Vec<Operation> {
    let tables =
        [watched(), node(), people(), membership(), talk(), board(), tracker(), drawing(), together()];
    tables.into_iter().flat_map(Table::operations).collect()
}

/// What watchers ask for, who know no version of the API.
fn watched() -> Table {
    Table::below("").get("/health", "Whether all parts of the node go round", node::health).get(
        "/metrics",
        "What the node measures, for Prometheus",
        metrics::page,
    )
}

fn node() -> Table {
    Table::below(V1)
        .get("/openapi.json", "This document", openapi::show)
        .get("/status", "Who this node is and how it does", node::status)
        .get("/peers", "The devices that are connected", node::peers)
        .post("/peers", "Dial an address now", node::dial)
        .get("/report", "How the node does, in numbers", node::report)
        .get("/metrics", "What the node measures, for Prometheus", metrics::page)
        .get("/log", "What is logged", log::show)
        .put("/log", "Change what is logged, until the next start", log::set)
        .post("/stop", "Stop the node", node::stop)
        .get("/index", "How much the copy of what was written holds", inbox::index)
        .post("/index/rebuild", "Make the copy of what was written anew", inbox::rebuild)
        .get("/sync", "How each document stands with each device", sync::status)
        .get("/events", "What changes, as server-sent events", events::stream)
}

fn people() -> Table {
    Table::below(V1)
        .put("/name", "Set the name under which this person appears to others", node::set_name)
        .get("/identity/phrase", "The recovery phrase, while the root key is here", identity::phrase)
        .delete("/identity/phrase", "Take the root key off this device", identity::forget)
        .post("/identity/link", "Make this device one of another device's person", identity::link)
        .post("/identity/recover", "Bring a person back by its phrase", identity::recover)
        .get("/devices", "This person's devices", devices::list)
        .post("/devices", "Make a code for one new device", devices::add)
        .delete("/devices/{device}", "End a device for good", devices::revoke)
        .get("/joins", "The joins under way", joins::list)
        .post("/joins", "Join by an invite, or ask to be let in", joins::create)
        .delete("/joins/{words}", "Give a join up", joins::cancel)
        .get("/groups", "All groups of this person", groups::list)
        .post("/groups", "Make a group and its four words", groups::create)
}

fn membership() -> Table {
    Table::below(GROUP)
        .get("", "One group", groups::show)
        .delete("", "Leave a group for good", groups::leave)
        .get("/core", "A group as a document, with who is and was in", groups::core)
        .patch(
            "/settings",
            "Change the name or description, or settle something, as an admin",
            groups::configure,
        )
        .get("/members", "Who is in, senior to junior", members::list)
        .patch("/members/{who}", "Give a member another role", members::set_role)
        .delete("/members/{who}", "Remove a member", members::remove)
        .get("/requests", "Who asks to be let in", requests::list)
        .post("/requests/{who}/approve", "Let somebody in who asked", requests::approve)
        .post("/requests/{who}/deny", "Turn somebody away who asked", requests::deny)
        .get("/invites", "The invites that admit", invites::list)
        .post("/invites", "Make an invite", invites::create)
        .delete("/invites/{key}", "Close an invite", invites::close)
        .get("/unaccepted", "What this person wrote that does not count", sync::unaccepted)
        .get("/tombstones", "What was deleted and waits to be forgotten", tombstones::list)
        .get("/documents", "How large the documents of a group are", documents::list)
        .put("/documents/{document}", "Keep a document on this device again", documents::keep)
        .delete("/documents/{document}", "Keep a document on this device no longer", documents::drop)
}

fn talk() -> Table {
    const REACTION: &str = "/groups/{words}/chat/messages/{id}/reactions/{emoji}";
    Table::below(V1)
        .get("/groups/{words}/chat/messages", "The last messages, oldest first", chat::read)
        .post("/groups/{words}/chat/messages", "Write a message", chat::send)
        .get("/groups/{words}/chat/messages/{id}", "One message", chat::show)
        .patch("/groups/{words}/chat/messages/{id}", "Give a message another text", chat::edit)
        .delete("/groups/{words}/chat/messages/{id}", "Delete a message", chat::remove)
        .put(REACTION, "React to a message", chat::react)
        .delete(REACTION, "Take a reaction back", chat::unreact)
        .put("/groups/{words}/chat/messages/{id}/pin", "Pin a message", chat::pin)
        .delete("/groups/{words}/chat/messages/{id}/pin", "Take one's pin back", chat::unpin)
        .put("/groups/{words}/chat/read", "Note up to where a chat was read", inbox::mark)
        .get("/inbox", "What of each group is unread, to be done, or not accepted", inbox::show)
        .get(
            "/search",
            "Search what was written: messages, cards, issues, canvases and comments",
            search::search,
        )
}

fn board() -> Table {
    Table::below(GROUP)
        .get("/board", "The columns in order, with their cards", boards::show)
        .get("/board/archive", "The cards that were put away", boards::archive)
        .post("/board/columns", "Make a column", boards::add_column)
        .patch("/board/columns/{column}", "Change a column", boards::change_column)
        .delete("/board/columns/{column}", "Delete an empty column for good", boards::remove_column)
        .put("/board/columns/{column}/place", "Put a column elsewhere", boards::place_column)
        .post("/board/cards", "Make a card", boards::add_card)
        .get("/board/cards/{card}", "A card and what was said about it", boards::show_card)
        .patch("/board/cards/{card}", "Change a card", boards::change_card)
        .delete("/board/cards/{card}", "Delete a card for good", boards::remove_card)
        .put("/board/cards/{card}/place", "Put a card elsewhere", boards::place_card)
        .put("/board/cards/{card}/archived", "Put a card away", boards::put_away)
        .delete("/board/cards/{card}/archived", "Put a card back where it was", boards::restore)
        .post("/board/cards/{card}/comments", "Say something about a card", boards::comment)
        .patch("/card-comments/{comment}", "Give a comment another text", boards::edit_comment)
        .delete("/card-comments/{comment}", "Delete a comment", boards::remove_comment)
}

fn tracker() -> Table {
    Table::below(GROUP)
        .get("/issues", "The issues that fit, the oldest first", issues::list)
        .post("/issues", "Report an issue", issues::add)
        .get("/issues/export", "All issues as one file, with what was said about them", issue_file::export)
        .post("/issues/import", "Report all issues of a file anew", issue_file::import)
        .get("/issues/{issue}", "An issue and what was said about it", issues::show)
        .patch("/issues/{issue}", "Change an issue, or close it by its status", issues::change)
        .delete("/issues/{issue}", "Delete an issue for good", issues::remove)
        .post("/issues/{issue}/comments", "Say something about an issue", issues::comment)
        .patch("/issue-comments/{comment}", "Give a comment another text", issues::edit_comment)
        .delete("/issue-comments/{comment}", "Delete a comment", issues::remove_comment)
}

fn drawing() -> Table {
    Table::below(GROUP)
        .get("/canvas", "The canvas and its elements, the lowest first", canvases::show)
        .get("/canvas/svg", "The canvas as an SVG picture", pictures::svg)
        .get("/canvas/png", "The canvas as a PNG picture", pictures::png)
        .patch("/canvas", "Change size and ground, one after the other", canvases::configure)
        .post("/canvas/elements", "Draw an element", canvases::add)
        .patch("/canvas/elements/{element}", "Change an element", canvases::change)
        .delete("/canvas/elements/{element}", "Erase an element for good", canvases::remove)
}

fn together() -> Table {
    Table::below(GROUP)
        .post("/undo/{document}", "Take back what this device did last", undo::undo)
        .post("/redo/{document}", "Do again what was taken back last", undo::redo)
        .get("/history/{document}", "The versions of a document, the newest first", history::list)
        .get("/diff/{document}", "How two versions of a document differ", history::compare)
        .post("/restore/{document}", "Bring a document, or one thing, back to a version", history::restore)
        .get("/presence", "Who of those connected does what at the moment", presence::list)
        .put("/presence", "Show what this person does at the moment", presence::show)
        .delete("/presence/{scene}", "Show that this person is there no more", presence::leave)
}
