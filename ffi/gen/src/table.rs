//! The table of the MPI interface: reading `ffi/table`. Its form is described in
//! `ffi/table/README.md`.

use std::fs;
use std::path::Path;

use crate::kind::{Form, Kind};

/// The whole interface.
#[derive(Debug)]
pub struct Table {
    /// The chapters in ascending order.
    pub chapters: Vec<Chapter>,
    /// What MPICH's binary interface has and the standard's has not.
    pub mpich: Vec<Chapter>,
    /// Types of functions that a program hands over.
    pub callbacks: Vec<Function>,
    /// Second names of such types: alias and type.
    pub aliases: Vec<(String, String)>,
    /// Types and constants.
    pub constants: Vec<Constants>,
}

/// A chapter of the standard.
#[derive(Debug)]
pub struct Chapter {
    /// The chapter's number in MPI 5.0.
    pub number: u32,
    /// Its title.
    pub title: String,
    /// The name of its file without number and suffix: also the name of the generated module.
    pub module: String,
    /// Its functions.
    pub functions: Vec<Function>,
}

/// A function, both its forms.
#[derive(Debug)]
pub struct Function {
    /// The name without `MPI_` and without `_c`.
    pub name: String,
    /// Its parameters.
    pub params: Vec<Param>,
    /// Whether arguments of any type may follow.
    pub variadic: bool,
    /// What is returned; `None` is an error code.
    pub returns: Option<Kind>,
    /// Whether a large-count form exists.
    pub large: bool,
    /// Whether it may be called at any time.
    pub always: bool,
    /// The version that deprecated it.
    pub deprecated: Option<String>,
    /// Who does the work.
    pub body: Body,
}

/// Who does the work of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nobody yet.
    Unbuilt,
    /// A method of the engine.
    Engine(String),
    /// A function of `ferrite_engine`.
    Core(String),
    /// A hand-written function of the ABI, of this name.
    Hand(String),
    /// Nobody: the value changes its type.
    Convert,
}

/// Where a parameter's value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the function.
    In,
    /// From the function.
    Out,
    /// Both ways.
    InOut,
}

/// A parameter.
#[derive(Clone, Debug)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Whether only the large-count form has it.
    pub large_only: bool,
    /// Where its value goes.
    pub direction: Direction,
    /// What it means.
    pub kind: Kind,
    /// The callback's type, for the kind CALLBACK.
    pub callback: Option<String>,
    /// For an array, what its length is.
    pub array: Option<String>,
}

/// A group of constants.
#[derive(Debug)]
pub struct Constants {
    /// How they are declared.
    pub group: Group,
    /// What they are; empty for handles.
    pub title: String,
    /// The constants.
    pub members: Vec<Constant>,
}

/// A constant.
#[derive(Debug)]
pub struct Constant {
    /// The name without `MPI_`.
    pub name: String,
    /// The value in the standard ABI, or the name of another constant.
    pub value: String,
    /// The value in MPICH's.
    pub mpich: String,
}

/// How a group of constants is declared.
#[derive(Debug, PartialEq, Eq)]
pub enum Group {
    /// A handle type and its predefined handles.
    Handle(String),
    /// An enumeration, with or without a name.
    Enum(Option<String>),
    /// Macros of plain integers.
    Macro,
    /// Macros with a cast to a type.
    Cast(String),
}

impl Constant {
    /// Whether it is another name of a constant.
    pub fn is_alias(&self) -> bool {
        self.value.starts_with(|c: char| c.is_ascii_alphabetic())
    }
}

impl Function {
    /// The forms that exist.
    pub fn forms(&self) -> impl Iterator<Item = Form> + use<> {
        let large = self.large.then_some(Form::Large);
        [Form::Small].into_iter().chain(large)
    }

    /// The name of a form, without `MPI_`.
    pub fn form_name(&self, form: Form) -> String {
        match form {
            Form::Small => self.name.clone(),
            Form::Large => format!("{}_c", self.name),
        }
    }

    /// The parameters of a form.
    pub fn form_params(&self, form: Form) -> impl Iterator<Item = &Param> {
        self.params
            .iter()
            .filter(move |param| form == Form::Large || !param.large_only)
    }

    /// Whether it belongs to the tool interface, which runs no error handlers.
    pub fn is_tool(&self) -> bool {
        self.name.starts_with("T_")
    }
}

impl Table {
    /// Reads the table in a folder.
    pub fn read(folder: &Path) -> Result<Table, String> {
        let listed = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let mut names: Vec<String> = listed
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.ends_with(".table"))
            .collect();
        names.sort();
        let mut table = Table {
            chapters: Vec::new(),
            mpich: Vec::new(),
            callbacks: Vec::new(),
            aliases: Vec::new(),
            constants: Vec::new(),
        };
        for name in names {
            let path = folder.join(&name);
            let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            let read = match name.as_str() {
                "constants.table" => read_constants(&text).map(|read| table.constants = read),
                "callbacks.table" => read_callbacks(&text, &mut table),
                "mpich.table" => read_chapter(&name, &text).map(|read| table.mpich.push(read)),
                _ => read_chapter(&name, &text).map(|read| table.chapters.push(read)),
            };
            read.map_err(|why| format!("{}: {why}", path.display()))?;
        }
        Ok(table)
    }

    /// All functions with their chapters.
    pub fn functions(&self) -> impl Iterator<Item = (&Chapter, &Function)> {
        self.chapters
            .iter()
            .flat_map(|chapter| chapter.functions.iter().map(move |f| (chapter, f)))
    }
}

/// Joins continued lines and drops comments and empty lines.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim_end();
        if line.is_empty() {
            continue;
        }
        match lines.last_mut() {
            Some(last) if line.starts_with(' ') => {
                last.push(' ');
                last.push_str(line.trim_start());
            }
            _ => lines.push(line.to_string()),
        }
    }
    lines
}

fn read_chapter(file: &str, text: &str) -> Result<Chapter, String> {
    let mut lines = logical_lines(text).into_iter();
    let head = lines.next().unwrap_or_default();
    let (number, title) = head
        .strip_prefix("chapter ")
        .and_then(|rest| rest.split_once(' '))
        .ok_or("the first line is not `chapter NUMBER TITLE`")?;
    let number = number
        .parse()
        .map_err(|_| format!("{number} is not a chapter's number"))?;
    let module = file
        .trim_end_matches(".table")
        .trim_start_matches(|c: char| c.is_ascii_digit() || c == '_');
    Ok(Chapter {
        number,
        title: title.to_string(),
        module: module.to_string(),
        functions: lines
            .map(|line| read_function(&line))
            .collect::<Result<_, _>>()?,
    })
}

fn read_callbacks(text: &str, table: &mut Table) -> Result<(), String> {
    for line in logical_lines(text) {
        match line.split_once(" = ") {
            Some((alias, name)) => table.aliases.push((alias.into(), name.into())),
            None => table.callbacks.push(read_function(&line)?),
        }
    }
    Ok(())
}

fn read_function(line: &str) -> Result<Function, String> {
    let at = |why: &str| format!("`{line}`: {why}");
    let (name, rest) = line.split_once('(').ok_or_else(|| at("no `(`"))?;
    let (params, rest) = rest.split_once(')').ok_or_else(|| at("no `)`"))?;
    let mut function = Function {
        name: name.to_string(),
        params: Vec::new(),
        variadic: false,
        returns: None,
        large: false,
        always: false,
        deprecated: None,
        body: Body::Unbuilt,
    };
    for param in params.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        if param == "..." {
            function.variadic = true;
        } else {
            function
                .params
                .push(read_param(param).map_err(|why| at(&why))?);
        }
    }
    let mut words = rest.split_whitespace();
    while let Some(word) = words.next() {
        match word.split_once('=').unwrap_or((word, "")) {
            ("->", _) => {
                let kind = words.next().unwrap_or_default();
                let kind = Kind::named(kind).ok_or_else(|| at("no such kind after `->`"))?;
                function.returns = Some(kind);
            }
            ("large", "") => function.large = true,
            ("always", "") => function.always = true,
            ("deprecated", version) => function.deprecated = Some(version.to_string()),
            ("engine", "") => function.body = Body::Engine(name.to_lowercase()),
            ("engine", method) => function.body = Body::Engine(method.to_string()),
            ("core", path) => function.body = Body::Core(path.to_string()),
            ("hand", "") => function.body = Body::Hand(name.to_string()),
            ("hand", other) => function.body = Body::Hand(other.to_string()),
            ("convert", "") => function.body = Body::Convert,
            _ => return Err(at(&format!("unknown word `{word}`"))),
        }
    }
    Ok(function)
}

fn read_param(text: &str) -> Result<Param, String> {
    let (name, rest) = text
        .split_once(": ")
        .ok_or(format!("`{text}` is not `name: KIND`"))?;
    let mut words = rest.split_whitespace().peekable();
    let large_only = words.next_if_eq(&"large").is_some();
    let direction = match words.peek() {
        Some(&"in") => Direction::In,
        Some(&"out") => Direction::Out,
        Some(&"inout") => Direction::InOut,
        _ => Direction::In,
    };
    words.next_if(|word| ["in", "out", "inout"].contains(word));
    let kind = words.next().unwrap_or_default();
    let (kind, array) = match kind.split_once('[') {
        Some((kind, length)) => (kind, Some(length.trim_end_matches(']').to_string())),
        None => (kind, None),
    };
    let kind = Kind::named(kind).ok_or(format!("`{text}`: no kind `{kind}`"))?;
    let callback = words.next().map(str::to_string);
    if callback.is_some() != kind.is("CALLBACK") || words.next().is_some() {
        return Err(format!("`{text}`: words after the kind"));
    }
    Ok(Param {
        name: name.to_string(),
        large_only,
        direction,
        kind,
        callback,
        array,
    })
}

fn read_constants(text: &str) -> Result<Vec<Constants>, String> {
    let mut groups: Vec<Constants> = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim_end();
        if line.is_empty() {
            continue;
        }
        if let Some(member) = line.strip_prefix("    ") {
            let (name, value) = member
                .split_once(" = ")
                .ok_or(format!("`{member}` is not `NAME = VALUE`"))?;
            let group = groups
                .last_mut()
                .ok_or(format!("`{member}` belongs to no group"))?;
            let (value, mpich) = value.split_once(" | ").unwrap_or((value, value));
            group.members.push(Constant {
                name: name.into(),
                value: value.into(),
                mpich: mpich.into(),
            });
            continue;
        }
        let (head, title) = line.split_once(": ").unwrap_or((line, ""));
        let (word, name) = head.split_once(' ').unwrap_or((head, ""));
        let group = match word {
            "handle" => Group::Handle(name.into()),
            "enum" => Group::Enum((!name.is_empty()).then(|| name.into())),
            "macro" => Group::Macro,
            "cast" => Group::Cast(name.into()),
            _ => return Err(format!("`{line}` starts no group")),
        };
        groups.push(Constants {
            group,
            title: title.into(),
            members: Vec::new(),
        });
    }
    Ok(groups)
}
