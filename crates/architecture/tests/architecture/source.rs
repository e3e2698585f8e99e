//! Rust sources as far as modules go: which modules there are, what they import, and which paths they name.
//!
//! It reads tokens and not the language, because nothing but `mod`, `use` and paths matters here. Code under
//! `#[cfg(test)]` is left out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A word, a string, or a single character of punctuation (`::` is one token).
#[derive(Clone, PartialEq, Eq, Debug)]
enum Token {
    Word(String),
    Text(String),
    Mark(char),
    Separator,
}

/// A path as it is written, without generics: `crate`, `command`, `Body`.
pub type Written = Vec<String>;

/// A module, with everything in it and below it.
#[derive(Default, Debug)]
pub struct Module {
    /// Modules within it, by name.
    pub children: BTreeMap<String, Module>,
    /// Names that `use` brings into it, and for what.
    pub imports: BTreeMap<String, Written>,
    /// Every path that it names, those of `use` included.
    pub paths: Vec<Written>,
}

/// The module at the root of a crate.
pub fn read(root: &Path) -> Module {
    let folder = root.parent().unwrap();
    parse(&tokens(&fs::read_to_string(root).unwrap()), folder, folder)
}

/// Splits a source into tokens, without comments, numbers, characters and lifetimes.
fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let (mut tokens, mut at) = (Vec::new(), 0);
    let is = |at: usize, text: &str| text.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c));
    while at < chars.len() {
        let c = chars[at];
        if is(at, "//") {
            while at < chars.len() && chars[at] != '\n' {
                at += 1;
            }
        } else if is(at, "/*") {
            at += block_comment(&chars[at..]);
        } else if let Some(hashes) = raw_string(&chars[at..]) {
            let start = at + hashes.1;
            let end = format!("\"{}", "#".repeat(hashes.0));
            at = (start..chars.len()).find(|&at| is(at, &end)).unwrap_or(chars.len());
            tokens.push(Token::Text(chars[start..at].iter().collect()));
            at += end.len();
        } else if c == '"' {
            let start = at + 1;
            at = start;
            while at < chars.len() && chars[at] != '"' {
                at += if chars[at] == '\\' { 2 } else { 1 };
            }
            tokens.push(Token::Text(chars[start..at.min(chars.len())].iter().collect()));
            at += 1;
        } else if c == '\'' {
            at += character_or_lifetime(&chars[at..]);
        } else if c.is_ascii_digit() {
            while at < chars.len() && word(chars[at]) {
                at += 1;
            }
        } else if word(c) {
            let start = at;
            while at < chars.len() && word(chars[at]) {
                at += 1;
            }
            let text: String = chars[start..at].iter().collect();
            if text == "r" && is(at, "#") {
                at += 1; // a raw identifier; its name follows
            } else if !((text == "b" || text == "c") && matches!(chars.get(at), Some('"' | '\''))) {
                tokens.push(Token::Word(text));
            }
        } else if is(at, "::") {
            tokens.push(Token::Separator);
            at += 2;
        } else {
            if !c.is_whitespace() {
                tokens.push(Token::Mark(c));
            }
            at += 1;
        }
    }
    tokens
}

/// Whether a word may have this character.
fn word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of the comment that begins here; comments may stand in it.
fn block_comment(chars: &[char]) -> usize {
    let (mut at, mut depth) = (0, 0);
    loop {
        match &chars[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 || at >= chars.len() {
            return at;
        }
    }
}

/// The length of the character or lifetime that begins here. The name of a lifetime is a word that starts no path.
fn character_or_lifetime(chars: &[char]) -> usize {
    match chars {
        [_, '\\', _, rest @ ..] => 3 + rest.iter().take_while(|c| **c != '\'').count() + 1,
        [_, _, '\'', ..] => 3,
        [_, rest @ ..] => 1 + rest.iter().take_while(|c| word(**c)).count(),
        [] => 0,
    }
}

/// Whether a raw string begins here: how many hashes it has, and how long its opening is.
fn raw_string(chars: &[char]) -> Option<(usize, usize)> {
    let prefix = match chars {
        ['r', ..] => 1,
        ['b' | 'c', 'r', ..] => 2,
        _ => return None,
    };
    let hashes = chars[prefix..].iter().take_while(|c| **c == '#').count();
    (chars.get(prefix + hashes) == Some(&'"')).then_some((hashes, prefix + hashes + 1))
}

/// Reads the tokens of a module whose files of children are in `folder`; those of its `#[path]`s are beside its own
/// file.
fn parse(tokens: &[Token], folder: &Path, beside: &Path) -> Module {
    let mut module = Module::default();
    let (mut at, mut path_attribute) = (0, None);
    while at < tokens.len() {
        match &tokens[at..] {
            [Token::Mark('#'), Token::Mark('['), ..] => {
                let end = closing(tokens, at + 1);
                match &tokens[at + 2..end] {
                    [Token::Word(cfg), Token::Mark('('), Token::Word(test), Token::Mark(')')]
                        if cfg == "cfg" && test == "test" =>
                    {
                        at = after_item(tokens, end + 1);
                        continue;
                    }
                    [Token::Word(path), Token::Mark('='), Token::Text(file)] if path == "path" => {
                        path_attribute = Some(file.clone());
                    }
                    _ => {}
                }
                at = end + 1;
            }
            [Token::Word(keyword), Token::Word(name), Token::Mark(';'), ..] if keyword == "mod" => {
                let (file, below) = file_of(folder, beside, name, path_attribute.take());
                let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
                let child = parse(&self::tokens(&text), &below, file.parent().unwrap());
                module.children.insert(name.clone(), child);
                at += 3;
            }
            [Token::Word(keyword), Token::Word(name), Token::Mark('{'), ..] if keyword == "mod" => {
                let end = closing(tokens, at + 2);
                let below = folder.join(name);
                module.children.insert(name.clone(), parse(&tokens[at + 3..end], &below, &below));
                at = end + 1;
            }
            [Token::Word(keyword), ..] if keyword == "use" => {
                let end = (at..tokens.len()).find(|&at| tokens[at] == Token::Mark(';')).unwrap_or(tokens.len());
                import(&tokens[at + 1..end], Vec::new(), &mut module);
                at = end + 1;
            }
            [Token::Word(first), Token::Separator, ..] => {
                let mut path = vec![first.clone()];
                at += 1;
                while let [Token::Separator, Token::Word(next), ..] = &tokens[at..] {
                    path.push(next.clone());
                    at += 2;
                }
                module.paths.push(path);
            }
            _ => at += 1,
        }
    }
    module
}

/// The file of a module, and the folder of its children's.
fn file_of(folder: &Path, beside: &Path, name: &str, path: Option<String>) -> (PathBuf, PathBuf) {
    if let Some(path) = path {
        let file = beside.join(path);
        let below = file.parent().unwrap().to_owned();
        return (file, below);
    }
    let below = folder.join(name);
    let file = folder.join(format!("{name}.rs"));
    if file.is_file() { (file, below) } else { (below.join("mod.rs"), below) }
}

/// Where the bracket that opens here is closed.
fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token {
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(')' | ']' | '}') => {
                depth -= 1;
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    tokens.len().saturating_sub(1)
}

/// Where the item that begins here has ended, its other attributes included.
fn after_item(tokens: &[Token], mut at: usize) -> usize {
    while at < tokens.len() {
        match tokens[at] {
            Token::Mark(';' | ',') => return at + 1,
            Token::Mark('{') => return closing(tokens, at) + 1,
            Token::Mark('(' | '[') => at = closing(tokens, at) + 1,
            _ => at += 1,
        }
    }
    at
}

/// The imports of one `use`, of which the part before these tokens is `before`.
fn import(tokens: &[Token], before: Written, module: &mut Module) {
    let mut path = before;
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            Token::Word(word) if word == "as" => {
                if let Some(Token::Word(alias)) = tokens.get(at + 1) {
                    module.imports.insert(alias.clone(), path.clone());
                }
                module.paths.push(path);
                return;
            }
            Token::Word(word) => path.push(word.clone()),
            Token::Mark('{') => {
                let end = closing(tokens, at);
                let (mut start, mut depth) = (at + 1, 0_usize);
                for part in at + 1..=end {
                    match tokens[part] {
                        Token::Mark('{') => depth += 1,
                        Token::Mark('}') if part < end => depth -= 1,
                        Token::Mark(',' | '}') if depth == 0 => {
                            if start < part {
                                import(&tokens[start..part], path.clone(), module);
                            }
                            start = part + 1;
                        }
                        _ => {}
                    }
                }
                return;
            }
            Token::Mark('*') => {
                module.paths.push(path);
                return;
            }
            _ => {}
        }
        at += 1;
    }
    if path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    if let Some(last) = path.last() {
        module.imports.insert(last.clone(), path.clone());
        module.paths.push(path);
    }
}

#[test]
fn sources_are_read_as_far_as_modules_go() {
    let source = r##"
        //! use crate::comment;
        use crate::{a::{self, B as C}, d::*};
        pub(crate) use self::e::F;
        #[cfg(test)]
        mod tests { use crate::tested; }
        #[cfg(test)]
        #[allow(dead_code)]
        fn only_tested() { crate::tested::run(); }
        mod inline { fn g<'a>() -> super::H<'a> { let _ = ('x', '\'', "crate::text", r#"crate::raw"#, 0..1); } }
        impl I for crate::j::K {}
    "##;
    let module = parse(&tokens(source), Path::new(""), Path::new(""));
    let path = |text: &str| text.split("::").map(str::to_owned).collect::<Vec<_>>();
    let wanted = ["crate::a", "crate::a::B", "crate::d", "self::e::F", "crate::j::K"].map(path);
    assert_eq!(module.paths, wanted);
    assert_eq!(module.imports.keys().collect::<Vec<_>>(), ["C", "F", "a"]);
    assert_eq!(module.children.keys().collect::<Vec<_>>(), ["inline"]);
    assert_eq!(module.children["inline"].paths, [path("super::H")]);
}
