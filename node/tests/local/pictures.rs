//! Canvases as pictures, over the API and by the command line.

use fourword_protocol::command::{CanvasCommand, CanvasView, Command, ElementView, Reply};
use fourword_protocol::schema::field::Number;
use fourword_protocol::schema::thing::ThingId;
use fourword_protocol::time::WallTime;
use http_body_util::BodyExt;

use crate::program::run;
use crate::script::{Node, WORDS, done, person, refused, words};

fn canvas(kinds: &[&str]) -> Reply {
    let number = |number| Number::new(number).unwrap();
    let element = |kind: &&str| ElementView {
        id: ThingId { owner: [1; 16], random: [2; 8] },
        author: person(),
        element_type: (*kind).to_owned(),
        place: (number(10.0), number(10.0)),
        size: (number(50.0), number(20.0)),
        rotation: None,
        z_index: 0,
        text: "<hello>".into(),
        shape: String::new(),
        points: Vec::new(),
        image: None,
        chart: String::new(),
        values: Vec::new(),
        fill: String::new(),
        stroke: String::new(),
        stroke_width: None,
        font_size: None,
        updated: WallTime(0),
    };
    let elements = kinds.iter().map(element).collect();
    Reply::Canvas(CanvasView {
        width: Some(number(100.0)),
        height: Some(number(60.0)),
        background_color: String::new(),
        elements,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canvas_is_given_as_a_picture_that_a_browser_only_shows() {
    let node = Node::start(|_| done(canvas(&["text", "hologram"]))).await;
    for (name, kind, begins) in
        [("svg", "image/svg+xml", &b"<svg xmlns="[..]), ("png", "image/png", &b"\x89PNG\r\n"[..])]
    {
        let path = format!("/api/v1/groups/{WORDS}/canvas/{name}");
        let response = node.send("GET", &path, "", &[]).await;
        assert_eq!(response.status(), 200, "{name}");
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!((header("content-type"), header("x-fourword-left-out")), (kind.into(), "1".into()));
        assert!(header("content-security-policy").contains("sandbox"));
        assert_eq!(header("x-content-type-options"), "nosniff");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(body.starts_with(begins), "{name}");
    }
    let asked = Command::Canvas(words(), CanvasCommand::Show);
    assert_eq!(node.script.asked(), [(asked.clone(), None), (asked, None)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_for_pixels_is_refused_and_said_to_be_had_as_svg() {
    let node = Node::start(|_| done(canvas(&["text"; 2001]))).await;
    let path = format!("/api/v1/groups/{WORDS}/canvas/png");
    let (status, problem) = node.ask("GET", &path, "").await;
    assert_eq!((status, &problem["hint"]), (429, &"take it as SVG".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_writes_both_kinds_of_picture_into_files() {
    let node = Node::start(|_| done(canvas(&["text"]))).await;
    let (svg, png) = (node.home().join("plan.svg"), node.home().join("plan.png"));
    let (svg_name, png_name) = (svg.to_str().unwrap(), png.to_str().unwrap());
    let ran = run(&node, &["canvas", "export", WORDS, "--svg", svg_name, "--png", png_name]).await;
    assert_eq!((ran.code, ran.out), (0, format!("Wrote {svg_name}\nWrote {png_name}\n")));
    assert!(std::fs::read_to_string(svg).unwrap().contains("&lt;hello&gt;"));
    assert!(std::fs::read(png).unwrap().starts_with(b"\x89PNG"));
    assert_eq!(run(&node, &["canvas", "export", WORDS]).await.code, 2, "into no file");
    let nowhere = node.home().join("nowhere/plan.svg");
    let ran = run(&node, &["canvas", "export", WORDS, "--svg", nowhere.to_str().unwrap()]).await;
    assert_eq!(ran.code, 2, "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_had_leaves_no_file() {
    let node = Node::start(|_| refused(fourword_protocol::command::RefusalCode::NotFound)).await;
    let svg = node.home().join("plan.svg");
    let ran = run(&node, &["canvas", "export", WORDS, "--svg", svg.to_str().unwrap()]).await;
    assert_eq!((ran.code, svg.exists()), (3, false));
}
