//! Paints a picture: SVG that this software wrote becomes PNG, with letters that it brings along.
//!
//! Invariant: no font and no file of the machine is looked at, so a picture is the same everywhere;
//! and what is too large or too much to paint is refused before it is begun.

use std::sync::{Arc, OnceLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{self, Options, Tree, fontdb};

use super::Picture;

/// Pixels that a picture is wide and high at most: 64 MiB while it is painted. What is larger is
/// painted smaller.
const PIXELS_MAX: f32 = 4096.0;

/// Elements that are painted: each may cover all of the picture.
const ELEMENTS_MAX: usize = 2000;

/// Why a picture is not painted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpainted {
    /// Too many elements; says how many.
    #[error("a picture in pixels shows at most {ELEMENTS_MAX} elements, and this has {0}")]
    TooMany(usize),
    /// The painter does not take what was drawn.
    #[error("the picture cannot be painted")]
    Unfit,
}

/// Paints a picture. Takes up to seconds: not on a thread that others wait for.
pub fn png(picture: &Picture) -> Result<Vec<u8>, Unpainted> {
    if picture.drawn > ELEMENTS_MAX {
        return Err(Unpainted::TooMany(picture.drawn));
    }
    let options = Options { fontdb: fonts(), font_family: "Ubuntu".to_owned(), ..Options::default() };
    let tree = Tree::from_str(&picture.svg, &options).map_err(|_: usvg::Error| Unpainted::Unfit)?;
    let size = tree.size();
    let scale = (PIXELS_MAX / size.width().max(size.height())).min(1.0);
    let painted = tree.size().to_int_size().scale_by(scale).ok_or(Unpainted::Unfit)?;
    let mut pixels = Pixmap::new(painted.width(), painted.height()).ok_or(Unpainted::Unfit)?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
    pixels.encode_png().map_err(|_| Unpainted::Unfit)
}

/// The fonts that pictures are painted with, read once.
fn fonts() -> Arc<fontdb::Database> {
    static FONTS: OnceLock<Arc<fontdb::Database>> = OnceLock::new();
    let read = || {
        let mut fonts = fontdb::Database::new();
        for font in [epaint_default_fonts::UBUNTU_LIGHT, epaint_default_fonts::NOTO_EMOJI_REGULAR] {
            fonts.load_font_data(font.to_vec());
        }
        fonts.set_sans_serif_family("Ubuntu");
        Arc::new(fonts)
    };
    Arc::clone(FONTS.get_or_init(read))
}
