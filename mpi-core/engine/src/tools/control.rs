//! Control variables (MPI 5.0, section 15.3.6): the settings that the engine reads.
//!
//! Lengths and times are numbers (`MPI_UNSIGNED_LONG_LONG`; bytes, microseconds) and take effect at
//! once. Whatever decides how the job is made is a text, as in the environment, and can be written
//! until MPI is initialised for the first time.

use super::{Tools, Verbosity, error, index_of, tools};
use ferrite_fabric::Transport;

use crate::settings::{self, REGISTRY, Scope, Setting};
use crate::{ErrorClass, Result};

/// Bytes of a variable that is a text, the zero byte at its end among them.
pub const TEXT: usize = 1024;

/// A control variable.
pub struct Control {
    /// Its setting's name.
    pub name: &'static str,
    /// What it does, in a sentence, and what its values are.
    pub description: String,
    /// Whether it is a number; a text otherwise.
    pub is_number: bool,
    /// Who should read it.
    pub verbosity: Verbosity,
    /// What a write must agree with.
    pub scope: Scope,
}

/// A value of a control variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Bytes or microseconds.
    Number(u64),
    /// As in the environment.
    Text(String),
}

fn variables() -> impl Iterator<Item = &'static Setting> {
    REGISTRY.iter().filter(|setting| setting.is_of_engine())
}

fn variable(index: i32) -> Result<&'static Setting> {
    let found = usize::try_from(index)
        .ok()
        .and_then(|at| variables().nth(at));
    found.ok_or_else(|| error(ErrorClass::T_INVALID_INDEX, "no variable has this number"))
}

/// `MPI_T_cvar_get_num`
pub fn count() -> Result<i32> {
    let _tools = tools()?;
    Ok(variables().count() as i32)
}

/// `MPI_T_cvar_get_index`
pub fn index(name: &str) -> Result<i32> {
    let _tools = tools()?;
    index_of(variables().map(|setting| setting.name), name)
}

/// `MPI_T_cvar_get_info`
pub fn info(index: i32) -> Result<Control> {
    let _tools = tools()?;
    let setting = variable(index)?;
    let is_number = setting.is_number();
    Ok(Control {
        name: setting.name,
        description: match is_number {
            true => format!("{} {}", setting.doc, setting.unit()),
            false => format!("{} The value is {}.", setting.doc, setting.accepts()),
        },
        is_number,
        verbosity: match setting.scope() {
            Scope::AllEq => Verbosity::TunerDetail,
            Scope::Local if is_number => Verbosity::TunerBasic,
            Scope::Local => Verbosity::UserBasic,
        },
        scope: setting.scope(),
    })
}

/// `MPI_T_cvar_handle_alloc`: a handle, and whether the variable is a number.
pub fn open(index: i32) -> Result<(u32, bool)> {
    let mut tools = tools()?;
    let setting = variable(index)?;
    let handle = tools.handle()?;
    tools.controls.insert(handle, setting);
    Ok((handle, setting.is_number()))
}

/// `MPI_T_cvar_handle_free`
pub fn close(handle: u32) -> Result<()> {
    let removed = tools()?.controls.remove(&handle);
    removed.map(|_| ()).ok_or_else(no_handle)
}

fn no_handle() -> crate::Error {
    error(
        ErrorClass::T_INVALID_HANDLE,
        "this is no handle of a control variable",
    )
}

fn setting_of(tools: &Tools, handle: u32) -> Result<&'static Setting> {
    tools.controls.get(&handle).copied().ok_or_else(no_handle)
}

/// Whether the variable of a handle is a number.
pub fn is_number(handle: u32) -> Result<bool> {
    Ok(setting_of(&*tools()?, handle)?.is_number())
}

/// `MPI_T_cvar_read`
pub fn read(handle: u32) -> Result<Value> {
    let setting = setting_of(&*tools()?, handle)?;
    let mut settings = settings::current()?;
    Ok(match setting.number(&mut settings) {
        Some(number) => Value::Number(number),
        None => Value::Text(setting.text(&mut settings)),
    })
}

/// `MPI_T_cvar_write`. `MPI_T_ERR_INVALID` for a value that is not understood,
/// `MPI_T_ERR_CVAR_SET_NOT_NOW` for a text once MPI was initialised. `networks` are those that the
/// library is composed of.
pub fn write(handle: u32, value: &Value, networks: &[&dyn Transport]) -> Result<()> {
    let tools = tools()?;
    let setting = setting_of(&tools, handle)?;
    let engine = crate::made_engine();
    if engine.is_some() && !setting.is_number() {
        return Err(error(
            ErrorClass::T_CVAR_SET_NOT_NOW,
            "this is decided when MPI is initialised",
        ));
    }
    let written = settings::write(setting, |settings| match value {
        Value::Number(number) => setting.set_number(settings, *number),
        Value::Text(text) => {
            setting.set(settings, text.trim())?;
            settings.transport.check(networks).ok()
        }
    })?;
    let settings =
        written.ok_or_else(|| error(ErrorClass::T_INVALID, "not a value of this variable"))?;
    if let Some(engine) = engine {
        engine.retune(&settings);
    }
    Ok(())
}
