//! Text on a linear framebuffer of whole bytes a pixel.

use font8x8::legacy::BASIC_LEGACY;
use multiboot2::FramebufferTag;

const GLYPH: usize = 8;
/// The same in every byte of a pixel: grey, wherever its red, green and blue are.
const LIGHT: u8 = 0xc0;
const DARK: u8 = 0;

/// A framebuffer.
pub struct Framebuffer {
    pixels: *mut u8,
    pitch: usize,
    /// Bytes a pixel.
    depth: usize,
    columns: usize,
    rows: usize,
    /// Each pixel of a glyph is this many pixels wide and high.
    scale: usize,
    column: usize,
    row: usize,
}

// SAFETY: the framebuffer belongs to whoever has the `Framebuffer`.
unsafe impl Send for Framebuffer {}

impl Framebuffer {
    /// The framebuffer that GRUB left.
    ///
    /// # Safety
    /// The memory is there, mapped, and nobody else uses it.
    pub unsafe fn new(tag: &FramebufferTag) -> Self {
        let scale = if tag.width() >= 1600 { 2 } else { 1 };
        let mut screen = Self {
            pixels: tag.address() as *mut u8,
            pitch: tag.pitch() as usize,
            depth: usize::from(tag.bpp() / 8),
            columns: tag.width() as usize / (GLYPH * scale),
            rows: tag.height() as usize / (GLYPH * scale),
            scale,
            column: 0,
            row: 0,
        };
        screen.clear_row(0);
        screen
    }

    /// Writes one byte. At the bottom it goes on at the top: moving a framebuffer's contents is slow.
    pub fn put(&mut self, byte: u8) {
        match byte {
            b'\n' => self.next_row(),
            b'\r' => self.column = 0,
            _ => {
                if self.column == self.columns {
                    self.next_row();
                }
                self.draw(byte);
                self.column += 1;
            }
        }
    }

    fn next_row(&mut self) {
        self.column = 0;
        self.row = (self.row + 1) % self.rows;
        self.clear_row(self.row);
        self.clear_row((self.row + 1) % self.rows);
    }

    fn clear_row(&mut self, row: usize) {
        for y in 0..GLYPH * self.scale {
            for x in 0..self.columns * GLYPH * self.scale {
                self.set(x, row * GLYPH * self.scale + y, DARK);
            }
        }
    }

    fn draw(&mut self, byte: u8) {
        let glyph = BASIC_LEGACY
            .get(usize::from(byte))
            .copied()
            .unwrap_or([0xff; GLYPH]);
        let size = GLYPH * self.scale;
        for y in 0..size {
            for x in 0..size {
                let lit = glyph[y / self.scale] >> (x / self.scale) & 1 != 0;
                let colour = if lit { LIGHT } else { DARK };
                self.set(self.column * size + x, self.row * size + y, colour);
            }
        }
    }

    fn set(&mut self, x: usize, y: usize, colour: u8) {
        for byte in 0..self.depth {
            let at = y * self.pitch + x * self.depth + byte;
            // SAFETY: the pixel is within the columns and rows that the framebuffer holds.
            unsafe { self.pixels.add(at).write_volatile(colour) }
        }
    }
}
