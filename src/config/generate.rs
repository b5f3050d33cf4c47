//! The commented default configuration file, made from the table.

use super::setting::{Kind, Setting, Since, Traits};
use super::settings::GROUPS;

const WIDTH: usize = 92;

/// A file that holds every setting with its default; loading it changes nothing.
pub fn default_file() -> String {
    let mut file = String::from(
        "# Configuration of coreshard, with every setting at its default.\n\
         #\n\
         # One directive on each line: a name and its value, in quotes when it has blanks. Sizes take\n\
         # kb, mb and gb (1024 each) or k, m and g (1000 each). What follows an unquoted # is a comment.\n\
         # Other files are read in place with: include <path>. Later lines win over earlier ones,\n\
         # environment variables CORESHARD_<NAME> over the file, and flags over all.\n",
    );
    for group in GROUPS {
        file.push_str(&format!("\n{}\n# {}\n{}\n", "#".repeat(WIDTH), group.title, "#".repeat(WIDTH)));
        for setting in group.settings.iter().filter(|setting| !setting.traits.has(Traits::HIDDEN)) {
            describe(setting, &mut file);
        }
    }
    file
}

fn describe(setting: &Setting, file: &mut String) {
    file.push('\n');
    wrap(setting.docs, file);
    wrap(&format!("Takes {}.{}", setting.expected(), remarks(setting)), file);
    match setting.kind {
        Kind::Save | Kind::OutputLimits => {
            // Four words make a class's limits, two a rule.
            let words: Vec<_> = setting.default.split(' ').collect();
            let size = if setting.kind == Kind::Save { 2 } else { 4 };
            for words in words.chunks(size) {
                file.push_str(&format!("{} {}\n", setting.name, words.join(" ")));
            }
        }
        Kind::Secret | Kind::Primary | Kind::Text { empty_is_unset: true } => {
            file.push_str(&format!("# {} \"\"\n", setting.name));
        }
        Kind::Text { .. } | Kind::Events | Kind::Directory => {
            file.push_str(&format!("{} \"{}\"\n", setting.name, setting.default));
        }
        _ => file.push_str(&format!("{} {}\n", setting.name, setting.default)),
    }
}

fn remarks(setting: &Setting) -> String {
    let mut remarks = String::new();
    if setting.traits.has(Traits::IMMUTABLE) {
        remarks.push_str(" Read at the start only.");
    }
    if setting.traits.has(Traits::PROTECTED) {
        remarks.push_str(" CONFIG SET needs enable-protected-configs.");
    }
    if !setting.aliases.is_empty() {
        remarks.push_str(&format!(" Also called {}.", setting.aliases.join(", ")));
    }
    match setting.since {
        Since::Coreshard => remarks.push_str(" Not in Redis."),
        Since::Valkey => remarks.push_str(" From Valkey."),
        _ => {}
    }
    if let Some(remark) = setting.area.remark() {
        remarks.push_str(&format!(" {remark}"));
    }
    remarks
}

/// Writes words as comment lines.
fn wrap(text: &str, file: &mut String) {
    let mut width = 0;
    for word in text.split_whitespace() {
        if width == 0 || width + 1 + word.len() > WIDTH {
            if width > 0 {
                file.push('\n');
            }
            file.push('#');
            width = 1;
        }
        file.push(' ');
        file.push_str(word);
        width += 1 + word.len();
    }
    file.push('\n');
}
