//! That canvases become well-formed pictures, whatever they hold.

use fourword_protocol::command::PersonView;
use fourword_protocol::ids::PersonId;
use fourword_protocol::schema::thing::ThingId;
use fourword_protocol::time::WallTime;
use resvg::tiny_skia::Pixmap;
use resvg::usvg::roxmltree::Document;

use super::*;

fn number(number: f64) -> Number {
    Number::new(number).unwrap()
}

fn pair(one: f64, other: f64) -> (Number, Number) {
    (number(one), number(other))
}

fn element(random: u8, kind: &str, place: (f64, f64), size: (f64, f64)) -> ElementView {
    ElementView {
        id: ThingId { owner: [1; 16], random: [random; 8] },
        author: PersonView { person: PersonId([1; 32]), words: None, name: "Ada".into() },
        element_type: kind.into(),
        place: pair(place.0, place.1),
        size: pair(size.0, size.1),
        rotation: None,
        z_index: 0,
        text: String::new(),
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
    }
}

fn shape(random: u8, shape: &str, place: (f64, f64), size: (f64, f64), fill: &str) -> ElementView {
    ElementView { shape: shape.into(), fill: fill.into(), ..element(random, "shape", place, size) }
}

fn chart(random: u8, chart: &str, place: (f64, f64), values: &[f64]) -> ElementView {
    let values = values.iter().map(|value| number(*value)).collect();
    ElementView { chart: chart.into(), values, ..element(random, "chart", place, (100.0, 80.0)) }
}

fn canvas(elements: Vec<ElementView>) -> CanvasView {
    CanvasView { width: None, height: None, background_color: String::new(), elements }
}

fn sized(elements: Vec<ElementView>) -> CanvasView {
    let side = |side| Some(number(side));
    CanvasView { width: side(400.0), height: side(300.0), ..canvas(elements) }
}

/// One of each kind.
fn all() -> CanvasView {
    let note = ElementView {
        text: "Paint the fence\nbefore the first <frost> & the snow comes".into(),
        font_size: Some(number(14.0)),
        ..element(1, "text", (20.0, 20.0), (150.0, 60.0))
    };
    let turned = ElementView {
        rotation: Some(number(30.0)),
        stroke_width: Some(number(3.0)),
        ..shape(2, "rectangle", (200.0, 30.0), (80.0, 40.0), "#ff0000")
    };
    let points = [0.0, 0.0, 40.0, 30.0, 80.0, 0.0].map(number).to_vec();
    let path = ElementView { points, ..shape(4, "path", (300.0, 120.0), (80.0, 30.0), "lightgreen") };
    sized(vec![
        note,
        turned,
        shape(3, "ellipse", (300.0, 20.0), (80.0, 60.0), "#00f8"),
        path,
        shape(5, "line", (300.0, 110.0), (80.0, 0.0), "red"),
        ElementView { image: Some([7; 32]), ..element(6, "image", (20.0, 100.0), (80.0, 60.0)) },
        chart(7, "bars", (20.0, 200.0), &[1.0, 3.0, -1.0, 2.0]),
        chart(8, "line", (140.0, 200.0), &[1.0, 3.0, 2.0]),
        chart(9, "pie", (260.0, 200.0), &[1.0, 2.0, 3.0]),
    ])
}

/// Each drawn element as its name and those of its parts, in order.
fn structure(svg: &str) -> Vec<String> {
    let document = Document::parse(svg).unwrap();
    let groups = document.root_element().children().filter(|node| node.has_tag_name("g"));
    let parts = groups.map(|group| {
        let parts = group.children().filter(|node| node.is_element());
        let names: Vec<&str> = parts.map(|part| part.tag_name().name()).collect();
        names.join(" ")
    });
    parts.collect()
}

#[test]
fn each_kind_of_element_is_drawn_by_its_parts_from_the_lowest_to_the_highest() {
    let picture = svg(&all());
    assert_eq!((picture.drawn, picture.left_out), (9, 0));
    assert_eq!(
        structure(&picture.svg),
        [
            "text",
            "rect",
            "ellipse",
            "polyline",
            "polyline",
            "rect polyline polyline",
            "rect rect rect rect rect",
            "polyline rect",
            "polygon polygon polygon rect",
        ]
    );
}

#[test]
fn a_canvas_is_written_like_this() {
    let turned = ElementView {
        rotation: Some(number(45.0)),
        stroke: "navy".into(),
        stroke_width: Some(number(2.5)),
        ..shape(2, "rectangle", (10.0, 20.0), (80.0, 40.0), "#FF0000")
    };
    let note = ElementView { text: "a <b>\n\"c\"".into(), ..element(3, "text", (5.25, 5.0), (90.0, 40.0)) };
    let view = CanvasView { background_color: "#eee".into(), ..sized(vec![turned, note]) };
    assert_eq!(
        svg(&view).svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"400\" height=\"300\" viewBox=\"0 0 400 300\" \
         font-family=\"Ubuntu, sans-serif\">\n\
         <rect x=\"0\" y=\"0\" width=\"400\" height=\"300\" fill=\"#eee\"/>\n\
         <g id=\"e-aeaqcaibaeaqcaibaeaqcaibae-aibaeaqcaibae\" transform=\"rotate(45 50 40)\">\
         <rect fill=\"#ff0000\" stroke=\"navy\" stroke-width=\"2.5\" x=\"10\" y=\"20\" width=\"80\" height=\"40\"/>\n\
         </g>\n\
         <g id=\"e-aeaqcaibaeaqcaibaeaqcaibae-ambqgaydambqg\">\
         <text fill=\"black\" font-size=\"16\"><tspan x=\"5.25\" y=\"21\">a &lt;b&gt;</tspan>\n\
         <tspan x=\"5.25\" y=\"41\">&quot;c&quot;</tspan>\n\
         </text>\n\
         </g>\n\
         </svg>\n"
    );
}

#[test]
fn no_text_of_a_member_ends_an_attribute_or_begins_an_element() {
    let evil = "\"/><script>alert(1)</script><image href='http://example.org/'/>&#0;\u{1}\u{ffff}]]>";
    let of = |kind: &str| ElementView {
        text: evil.into(),
        shape: evil.into(),
        chart: evil.into(),
        fill: evil.into(),
        stroke: "url(#x)".into(),
        values: vec![number(1.0)],
        ..element(1, kind, (0.0, 0.0), (9000.0, 9.0))
    };
    let elements = vec![of("text"), of("shape"), of("chart"), of("image"), of(evil)];
    let view = CanvasView { background_color: evil.into(), ..sized(elements) };
    let picture = svg(&view);
    assert_eq!((picture.drawn, picture.left_out), (4, 1), "a kind that is not known is left out");
    let document = Document::parse(&picture.svg).unwrap();
    let ours = ["svg", "g", "rect", "text", "tspan", "polyline"];
    for node in document.descendants().filter(|node| node.is_element()) {
        assert!(ours.contains(&node.tag_name().name()), "{}", node.tag_name().name());
        for attribute in node.attributes() {
            assert!(!attribute.value().contains("url") && !attribute.value().contains("script"));
            assert!(!attribute.name().starts_with("on") && attribute.name() != "href");
        }
    }
    let text: String = document.descendants().filter_map(|node| node.text()).collect();
    assert!(text.contains("\"/><script>alert(1)</script>") && text.contains('\u{fffd}'));
}

#[test]
fn every_number_of_a_picture_is_finite_and_bounded_whatever_the_canvas_says() {
    let extremes = [f64::MAX, f64::MIN, f64::MIN_POSITIVE, -1.0, 0.0, 1e300, 720.5];
    let kinds = [("text", "", ""), ("shape", "path", ""), ("shape", "ellipse", ""), ("image", "", "")];
    let charts = [("chart", "", "bars"), ("chart", "", "line"), ("chart", "", "pie"), ("shape", "", "")];
    for (at, one) in extremes.iter().enumerate() {
        let other = extremes[(at + 3) % extremes.len()];
        let elements = kinds.iter().chain(&charts).map(|(kind, shape, chart)| ElementView {
            shape: (*shape).into(),
            chart: (*chart).into(),
            text: "word ".repeat(50),
            rotation: Some(number(*one)),
            points: extremes.map(number).to_vec(),
            values: extremes.map(number).to_vec(),
            stroke_width: Some(number(*one)),
            font_size: Some(number(other)),
            ..element(1, kind, (*one, other), (other, *one))
        });
        let view = CanvasView { width: Some(number(*one)), ..canvas(elements.collect()) };
        for view in [CanvasView { height: Some(number(other)), ..view.clone() }, view] {
            let picture = svg(&view);
            let document = Document::parse(&picture.svg).unwrap();
            let attributes = document.descendants().flat_map(|node| node.attributes());
            for attribute in attributes.filter(|a| !["id", "fill", "stroke"].contains(&a.name())) {
                let numbers = attribute.value().split(|c: char| !"-.0123456789eEinfNa".contains(c));
                for text in numbers.filter(|text| text.chars().any(|c| c.is_ascii_digit())) {
                    let number: f64 = text.parse().unwrap_or_else(|_| panic!("{text} in {attribute:?}"));
                    assert!(number.abs() <= 4.0 * REACH, "{attribute:?}");
                }
            }
            assert!(!picture.svg.contains("NaN") && !picture.svg.contains("inf"));
            assert!(png(&picture).is_ok());
        }
    }
}

#[test]
fn an_empty_canvas_is_a_small_picture_and_one_without_a_size_shows_all_that_is_on_it() {
    let frame_of = |view: &CanvasView| {
        let picture = svg(view);
        let document = Document::parse(&picture.svg).unwrap();
        document.root_element().attribute("viewBox").unwrap().to_owned()
    };
    assert_eq!(frame_of(&canvas(Vec::new())), "-20 -20 40 40");
    let elements =
        vec![shape(1, "", (-100.0, 5.0), (10.0, 10.0), ""), shape(2, "", (50.0, 60.0), (10.0, 10.0), "")];
    assert_eq!(frame_of(&canvas(elements)), "-120 -15 200 105");
    let upright =
        ElementView { rotation: Some(number(90.0)), ..shape(1, "rectangle", (0.0, 0.0), (100.0, 20.0), "") };
    assert_eq!(frame_of(&canvas(vec![upright])), "20 -60 60 140", "as it is turned");
}

#[test]
fn what_finds_no_room_is_left_out_whole() {
    let text = "\"".repeat(64 * 1024);
    let many = (0..120).map(|random| ElementView {
        text: text.clone(),
        ..element(random, "text", (0.0, 0.0), (100.0, 100.0))
    });
    let picture = svg(&sized(many.collect()));
    assert!(picture.svg.len() <= SVG_BYTES_MAX + 16 && picture.drawn > 70, "{}", picture.drawn);
    assert_eq!(picture.drawn + picture.left_out, 120);
    assert_eq!(structure(&picture.svg).len(), picture.drawn);
}

#[test]
fn pixels_have_the_colours_of_the_canvas_and_letters_are_drawn() {
    let note = ElementView { text: "MMMM".into(), ..element(3, "text", (200.0, 200.0), (150.0, 40.0)) };
    let red = shape(1, "rectangle", (10.0, 10.0), (100.0, 100.0), "#ff0000");
    let blue = shape(2, "ellipse", (40.0, 40.0), (100.0, 100.0), "#0000ff");
    let painted = Pixmap::decode_png(&png(&svg(&sized(vec![red, blue, note]))).unwrap()).unwrap();
    assert_eq!((painted.width(), painted.height()), (400, 300));
    let at = |x, y| {
        let pixel = painted.pixel(x, y).unwrap();
        (pixel.red(), pixel.green(), pixel.blue())
    };
    assert_eq!(at(350, 20), (255, 255, 255));
    assert_eq!(at(20, 20), (255, 0, 0));
    assert_eq!(at(90, 90), (0, 0, 255), "what is higher covers what is lower");
    let dark = (200..280).flat_map(|x| (200..225).map(move |y| (x, y)));
    assert!(dark.filter(|(x, y)| at(*x, *y).0 < 128).count() > 50, "there are letters");
}

#[test]
fn a_huge_canvas_is_painted_smaller_and_too_many_elements_not_at_all() {
    let side = |side| Some(number(side));
    let wide = CanvasView { width: side(f64::MAX), height: side(50_000.0), ..canvas(Vec::new()) };
    let painted = Pixmap::decode_png(&png(&svg(&wide)).unwrap()).unwrap();
    assert_eq!((painted.width(), painted.height()), (4096, 2048));
    let many = |count| Picture { drawn: count, ..svg(&canvas(Vec::new())) };
    assert!(png(&many(2000)).is_ok());
    assert_eq!(png(&many(2001)), Err(Unpainted::TooMany(2001)));
}
