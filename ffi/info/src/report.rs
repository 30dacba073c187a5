//! How it is told: text for people, JSON for programs.

use std::fmt::Write;

use crate::facts::Facts;

/// The facts as one JSON object.
pub(crate) fn json(facts: &Facts) -> String {
    let mut text = serde_json::to_string_pretty(facts).expect("text and truth values only");
    text.push('\n');
    text
}

/// The facts for people.
pub(crate) fn text(facts: &Facts) -> String {
    let mut text = String::new();
    write_text(&mut text, facts).expect("a String takes everything");
    text
}

fn write_text(out: &mut String, facts: &Facts) -> std::fmt::Result {
    writeln!(out, "Ferrite MPI {}, MPI {}", facts.version, facts.standard)?;

    writeln!(out, "\nBuild")?;
    writeln!(out, "  profile  {}", facts.build.profile)?;
    writeln!(out, "  target   {}", facts.build.target)?;
    writeln!(out, "  compiler {}", facts.build.rustc)?;

    writeln!(out, "\nTransports")?;
    for transport in &facts.transports {
        let state = match (transport.available, transport.allowed) {
            (false, _) => "not available on this machine",
            (true, false) => "available, but not allowed by FERRITE_TRANSPORT",
            (true, true) => "available",
        };
        writeln!(out, "  {:<8} {state}", transport.name)?;
        for feature in &transport.features {
            let state = match (feature.available, feature.remark.as_str()) {
                (true, "") => String::from("yes"),
                (true, remark) => format!("yes: {remark}"),
                (false, remark) => format!("no: {remark}"),
            };
            writeln!(out, "    {:<32} {state}", feature.name)?;
        }
    }

    writeln!(
        out,
        "\nSettings: environment variable, value, where the value comes from"
    )?;
    for setting in &facts.settings {
        let value = match setting.value.as_str() {
            "" => "(empty)",
            value => value,
        };
        writeln!(out, "  {:<22} {value:<10} {}", setting.name, setting.origin)?;
        writeln!(out, "      {}", setting.doc)?;
        writeln!(out, "      The value is {}.", setting.accepts)?;
    }
    if facts.error.is_some() {
        writeln!(
            out,
            "  These are the defaults: the environment is not understood, see the error."
        )?;
    }

    writeln!(
        out,
        "\nVariables that the launcher and the compiler wrappers read"
    )?;
    for variable in &facts.elsewhere {
        writeln!(out, "  {:<22} {}", variable.name, variable.doc)?;
    }
    Ok(())
}
