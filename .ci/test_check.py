"""The checks find what they are for, and leave alone what is right."""

import unittest

import check


class Width(unittest.TestCase):
    def found(self, name, text):
        return list(check.too_wide(name, text))

    def test_prose_and_comments_are_wrapped(self):
        long = "word " * 30
        self.assertEqual(self.found("a.md", f"short\n{long}\n"), [2])
        self.assertEqual(self.found("a.rs", f"// {long}\n"), [1])
        self.assertEqual(self.found("a.py", f"# {long}\n"), [1])

    def test_what_cannot_be_wrapped_is_left_alone(self):
        long = "word " * 30
        self.assertEqual(self.found("a.md", f"| {long} |\n```sh\n{long}\n```\n"), [])
        self.assertEqual(self.found("a.rs", f'    #[error("{long}")]\n'), [])
        self.assertEqual(self.found("a.rs", f'    let a = "{long}\\\n  {long}";\n// {long}\n'), [3])
        self.assertEqual(self.found("a.rs", f"/// ```text\n/// {long}\n/// ```\n//! | {long} |\n"), [])


class Links(unittest.TestCase):
    def found(self, text, name="README.md"):
        return list(check.broken_links(name, text))

    def test_links_lead_somewhere(self):
        self.assertEqual(
            self.found("[a](docs/history.md) [b](https://example.org/x) [c](#there)\n# There\n"),
            ["#there: the document has no such heading"],
        )
        self.assertEqual(self.found("[a](docs/no-such.md)"), ["docs/no-such.md does not exist"])
        self.assertEqual(self.found("`[a](docs/no-such.md)`\n```sh\n[b](nowhere)\n```\n"), [])

    def test_anchors(self):
        self.assertEqual(check.anchors("# Two *words*, `code`\n```sh\n# not this\n```\n"), {"two-words-code"})


class Paths(unittest.TestCase):
    def found(self, text):
        return list(check.wrong_mentions(text))

    def test_files_and_names_exist(self):
        self.assertEqual(self.found("`.ci/check.py`, `too_wide` and `.ci/check.py`"), [])
        self.assertEqual(self.found("| fee | `.ci/check.py` | `too_wide` |"), [])
        self.assertEqual(self.found("`.ci/check.py`: `no_such`"), ["`.ci/check.py` does not define `no_such`"])
        self.assertEqual(self.found("`crates/none/src/x.rs`"), ["`crates/none/src/x.rs` does not exist"])

    def test_definitions(self):
        source = "pub struct Node;\nimpl<L: Log> Node<L> {\n    pub(crate) fn turn(&mut self) {}\n}\n"
        self.assertTrue(check.is_defined("Node::turn", source))
        self.assertFalse(check.is_defined("Node::other", source))


class Comments(unittest.TestCase):
    def test_code_that_nothing_compiles(self):
        text = "/// ```text\n/// a\n/// ```\n//! ```\n//! b\n//! ```\n  /// ```no_run\n  /// ```\n"
        self.assertEqual(list(check.tests_in_documentation(text)), [4, 7])

    def test_one_word_is_too_little(self):
        text = (
            "/// When.\npub time: u64,\n/// Time of the trade.\npub at: u64,\n/// Reads:\n/// everything.\nfn f() {}\n"
        )
        self.assertEqual(list(check.one_word_comments(text)), [1])


class Subjects(unittest.TestCase):
    def test_orders_with_an_area(self):
        for right in ["engine: bound the work of one command", "log, node: process skips once", "docs: wrap prose"]:
            self.assertIsNone(check.wrong_subject(right), right)
        for wrong in [
            "Bound the work",
            "engine: what a command does",
            "engine: bounds the work of one command",
            "engine: bounded work",
            "engine: bounding work",
            "engine: bound the work of one command.",
            "engine: bound " + "work " * 15,
        ]:
            self.assertIsNotNone(check.wrong_subject(wrong), wrong)


if __name__ == "__main__":
    unittest.main()
