//! The text screen of a VGA.

/// Light grey on black.
const ATTRIBUTE: u16 = 0x0700;

/// A text screen.
pub struct Text {
    cells: *mut u16,
    width: usize,
    height: usize,
    column: usize,
}

// SAFETY: the screen belongs to whoever has the `Text`.
unsafe impl Send for Text {}

impl Text {
    /// The screen at `address`, scrolled up by whole lines.
    ///
    /// # Safety
    /// `width` x `height` cells are there, and nobody else uses them.
    pub unsafe fn new(address: u64, width: u32, height: u32) -> Self {
        Self {
            cells: address as *mut u16,
            width: width as usize,
            height: height as usize,
            column: 0,
        }
    }

    /// Writes one byte on the last line.
    pub fn put(&mut self, byte: u8) {
        match byte {
            b'\n' => self.scroll(),
            b'\r' => self.column = 0,
            _ => {
                if self.column == self.width {
                    self.scroll();
                }
                let cell = (self.height - 1) * self.width + self.column;
                // SAFETY: the cell is on the last line of the screen.
                unsafe {
                    self.cells
                        .add(cell)
                        .write_volatile(ATTRIBUTE | u16::from(byte))
                }
                self.column += 1;
            }
        }
    }

    fn scroll(&mut self) {
        let kept = (self.height - 1) * self.width;
        for cell in 0..kept + self.width {
            // SAFETY: the cell is on the screen, and so is the one a line below it, if it is read.
            unsafe {
                let text = if cell < kept {
                    self.cells.add(cell + self.width).read_volatile()
                } else {
                    ATTRIBUTE
                };
                self.cells.add(cell).write_volatile(text);
            }
        }
        self.column = 0;
    }
}
