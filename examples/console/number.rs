//! Does what number.c does:
//! rustc --edition 2021 --target wasm32-unknown-unknown -O --crate-type cdylib number.rs

mod console {
    //! The imports of vibewasm's console, with Rust's types around them.

    mod imports {
        #[link(wasm_import_module = "console")]
        extern "C" {
            pub fn print(text: *const u8, size: usize) -> i32;
            pub fn error(text: *const u8, size: usize) -> i32;
            pub fn read_line(line: *mut u8, capacity: usize) -> i32;
            pub fn args_count() -> i32;
            pub fn arg(index: usize, argument: *mut u8, capacity: usize) -> i32;
            pub fn monotonic() -> i64;
        }
    }

    pub fn print(text: &str) {
        unsafe { imports::print(text.as_ptr(), text.len()) };
    }

    pub fn error(text: &str) {
        unsafe { imports::error(text.as_ptr(), text.len()) };
    }

    /// The next line with its line break, however long it is; `None` at the end.
    pub fn read_line() -> Option<String> {
        let mut line = Vec::new();
        let mut piece = [0; 64];
        loop {
            match unsafe { imports::read_line(piece.as_mut_ptr(), piece.len()) } {
                size if size > 0 => line.extend_from_slice(&piece[..size as usize]),
                _ => break,
            }
            if line.last() == Some(&b'\n') {
                break;
            }
        }
        (!line.is_empty()).then(|| String::from_utf8_lossy(&line).into_owned())
    }

    pub fn args() -> Vec<String> {
        (0..unsafe { imports::args_count() } as usize)
            .map(|index| {
                let size = unsafe { imports::arg(index, std::ptr::null_mut(), 0) };
                let mut argument = vec![0; size as usize];
                unsafe { imports::arg(index, argument.as_mut_ptr(), argument.len()) };
                String::from_utf8_lossy(&argument).into_owned()
            })
            .collect()
    }

    /// Nanoseconds since some moment.
    pub fn monotonic() -> i64 {
        unsafe { imports::monotonic() }
    }
}

/// Gives the number of lines.
#[no_mangle]
pub extern "C" fn run() -> i32 {
    let begin = console::monotonic();
    let prefix = console::args().into_iter().next().unwrap_or_default();
    let mut lines = 0;
    while let Some(line) = console::read_line() {
        lines += 1;
        console::print(&format!("{prefix}{lines}: {}\n", line.trim_end_matches('\n')));
    }
    console::error(&format!("{} ms\n", (console::monotonic() - begin) / 1_000_000));
    lines
}
