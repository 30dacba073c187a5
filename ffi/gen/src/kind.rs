//! Kinds of parameters: what a parameter means, and its type in C and in Rust.

/// Which of a function's two forms is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The form with `int` counts.
    Small,
    /// The large-count form, with the suffix `_c`.
    Large,
}

/// Types of one kind.
struct Row {
    name: &'static str,
    c: &'static str,
    c_large: &'static str,
    rust: &'static str,
    rust_large: &'static str,
    class: Class,
}

/// What a generated body does with a value of the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A number that is passed on as it is.
    Number,
    /// A number that has another width in the large-count form, and 64 bits inside.
    Count,
    /// A truth value: an `int` outside, a `bool` inside.
    Logical,
    /// A handle; the text is the name of its type in `ferrite_engine`, empty when the engine has no
    /// such objects.
    Handle(&'static str),
    /// A user's memory.
    Buffer,
    /// A pointer that is passed on and never followed.
    Opaque,
    /// The address of a pointer that the function sets, declared `void *`.
    Base,
    /// A status.
    Status,
    /// A string that ends with a zero byte.
    String,
    /// What only a hand-written body knows how to treat.
    Odd,
}

const fn plain(name: &'static str, c: &'static str, rust: &'static str, class: Class) -> Row {
    Row {
        name,
        c,
        c_large: c,
        rust,
        rust_large: rust,
        class,
    }
}

const fn int(name: &'static str) -> Row {
    plain(name, "int", "c_int", Class::Number)
}

const fn handle(name: &'static str, c: &'static str, inner: &'static str) -> Row {
    plain(name, c, c, Class::Handle(inner))
}

const fn wide(name: &'static str, c: [&'static str; 2], rust: [&'static str; 2]) -> Row {
    Row {
        name,
        c: c[0],
        c_large: c[1],
        rust: rust[0],
        rust_large: rust[1],
        class: Class::Count,
    }
}

const ROWS: &[Row] = &[
    // Numbers with a meaning.
    int("RANK"),
    int("TAG"),
    int("KEYVAL"),
    int("ERROR"),
    int("LENGTH"),
    int("INDEX"),
    int("THREAD_LEVEL"),
    int("ASSERT"),
    int("WEIGHT"),
    int("COORDINATE"),
    int("COMPARISON"),
    int("TOPOLOGY"),
    int("SPLIT_TYPE"),
    int("ORDER"),
    int("DISTRIBUTION"),
    int("COMBINER"),
    int("TYPE_CLASS"),
    int("T_VERBOSITY"),
    int("T_BIND"),
    int("T_SCOPE"),
    int("T_CLASS"),
    int("INT"),
    plain("LOGICAL", "int", "c_int", Class::Logical),
    plain("AINT", "MPI_Aint", "MPI_Aint", Class::Number),
    plain("OFFSET", "MPI_Offset", "MPI_Offset", Class::Number),
    plain("LARGE_COUNT", "MPI_Count", "MPI_Count", Class::Number),
    plain("SECONDS", "double", "f64", Class::Number),
    plain("NOTHING", "void", "()", Class::Odd),
    // Numbers that are wider in the large-count form.
    wide("COUNT", ["int", "MPI_Count"], ["c_int", "MPI_Count"]),
    wide(
        "PARTITION_COUNT",
        ["int", "MPI_Count"],
        ["PartitionCount", "MPI_Count"],
    ),
    wide("DISPLACEMENT", ["int", "MPI_Aint"], ["c_int", "MPI_Aint"]),
    wide(
        "BYTES",
        ["MPI_Aint", "MPI_Count"],
        ["MPI_Aint", "MPI_Count"],
    ),
    // Handles.
    handle("COMM", "MPI_Comm", "Comm"),
    handle("GROUP", "MPI_Group", "Group"),
    handle("DATATYPE", "MPI_Datatype", "Datatype"),
    handle("OP", "MPI_Op", "Op"),
    handle("REQUEST", "MPI_Request", "Request"),
    handle("MESSAGE", "MPI_Message", "Message"),
    handle("INFO", "MPI_Info", "Info"),
    handle("ERRHANDLER", "MPI_Errhandler", "Errhandler"),
    handle("SESSION", "MPI_Session", "Session"),
    handle("WIN", "MPI_Win", "Win"),
    handle("FILE", "MPI_File", "File"),
    handle("T_ENUM", "MPI_T_enum", ""),
    handle("T_CVAR", "MPI_T_cvar_handle", ""),
    handle("T_PVAR", "MPI_T_pvar_handle", ""),
    handle("T_PVAR_SESSION", "MPI_T_pvar_session", ""),
    handle("T_REGISTRATION", "MPI_T_event_registration", ""),
    handle("T_INSTANCE", "MPI_T_event_instance", ""),
    plain("T_SAFETY", "MPI_T_cb_safety", "c_int", Class::Number),
    plain("T_ORDER", "MPI_T_source_order", "c_int", Class::Number),
    // Memory.
    plain("BUFFER", "void", "c_void", Class::Buffer),
    plain("MEMORY", "void", "c_void", Class::Buffer),
    plain("EXTRA_STATE", "void *", "*mut c_void", Class::Opaque),
    plain("ATTRIBUTE", "void *", "*mut c_void", Class::Opaque),
    plain("BASE", "void *", "*mut c_void", Class::Base),
    plain("STATUS", "MPI_Status", "MPI_Status", Class::Status),
    // A status as the Fortran module mpi_f08 has it: the same under another name.
    plain("F08_STATUS", "MPI_F08_status", "MPI_Status", Class::Status),
    plain("STRING", "char", "c_char", Class::String),
    plain("CALLBACK", "", "*const c_void", Class::Odd),
    // What main gets, and what spawn takes.
    plain("ARGC", "int", "c_int", Class::Odd),
    plain("ARGV", "char **", "*mut *mut c_char", Class::Odd),
    plain("STRINGS", "char *", "*mut c_char", Class::Odd),
    plain("STRING_LISTS", "char **", "*mut *mut c_char", Class::Odd),
    plain("RANGE", "int", "[c_int; 3]", Class::Odd),
];

/// Kinds of which some values have a meaning of their own, and those of enumerations.
const CONVERTED: [&str; 17] = [
    "RANK",
    "TAG",
    "KEYVAL",
    "ERROR",
    "THREAD_LEVEL",
    "COMPARISON",
    "TOPOLOGY",
    "SPLIT_TYPE",
    "ORDER",
    "COMBINER",
    "TYPE_CLASS",
    "T_VERBOSITY",
    "T_BIND",
    "T_SCOPE",
    "T_CLASS",
    "T_SAFETY",
    "T_ORDER",
];

/// A kind of parameter.
#[derive(Clone, Copy)]
pub struct Kind(&'static Row);

impl Kind {
    /// The kind of a name of the table.
    pub fn named(name: &str) -> Option<Kind> {
        ROWS.iter().find(|row| row.name == name).map(Kind)
    }

    /// The kind's name in the table.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// What a generated body does with it.
    pub fn class(self) -> Class {
        self.0.class
    }

    /// Whether the kind's values are those of the standard in the standard ABI only: bodies pass
    /// them through functions of the binary interface's own, `rank_in`, `rank_out` and so on.
    pub fn is_converted(self) -> bool {
        CONVERTED.contains(&self.0.name)
    }

    /// The error class of a handle of this kind that names no object; `None` for what is no handle
    /// of the engine's.
    pub fn error_class(self) -> Option<&'static str> {
        match self.class() {
            Class::Handle("Datatype") => Some("TYPE"),
            // They share a class (MPI 5.0, section 9.4).
            Class::Handle("Message") => Some("REQUEST"),
            Class::Handle("") => None,
            Class::Handle(_) => Some(self.0.name),
            _ => None,
        }
    }

    /// Whether this is the kind of that name.
    pub fn is(self, name: &str) -> bool {
        self.0.name == name
    }

    /// The C type of one value.
    pub fn c(self, form: Form) -> &'static str {
        match form {
            Form::Small => self.0.c,
            Form::Large => self.0.c_large,
        }
    }

    /// The Rust type of one value at the ABI.
    pub fn rust(self, form: Form) -> &'static str {
        match form {
            Form::Small => self.0.rust,
            Form::Large => self.0.rust_large,
        }
    }
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name)
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Kind) -> bool {
        self.0.name == other.0.name
    }
}
