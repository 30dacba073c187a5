use ferrite_fabric::Transport;

use super::*;

fn parse(variables: &[(&str, &str)]) -> Result<(Settings, Vec<String>)> {
    Settings::parse(
        variables
            .iter()
            .map(|&(name, value)| (name.into(), value.into())),
    )
}

#[test]
fn defaults_are_what_the_registry_says() {
    for shown in Settings::default().shown() {
        let setting = REGISTRY
            .iter()
            .find(|setting| setting.name == shown.name)
            .unwrap();
        assert_eq!(shown.value, setting.default, "{}", shown.name);
        assert_eq!(shown.origin, Origin::Default);
    }
    assert_eq!(Settings::default().eager_limit, 32 << 10);
    assert_eq!(Settings::default().yield_for, Duration::from_millis(1));
}

#[test]
fn the_environment_is_read_into_fields() {
    let (settings, warnings) = parse(&[
        ("PATH", "/bin"),
        ("FERRITE_TRANSPORT", "self, shm"),
        ("FERRITE_CMA", "never"),
        ("FERRITE_EAGER_LIMIT", "1000"),
        ("FERRITE_SPIN", "0"),
        ("FERRITE_PORT_RANGE", "4000-4001"),
        ("MPICH_NETMASK", "10.0.0.0/8"),
        ("FERRITE_CHANNEL", "17"),
        ("FERRITE_TEST_SEED", "1"),
    ])
    .unwrap();
    assert_eq!(settings.transport.names(), ["self", "shm"]);
    assert_eq!(settings.cma, Cma::Never);
    assert_eq!(settings.eager_limit, 1000);
    assert_eq!(settings.spin, Duration::ZERO);
    assert_eq!(settings.ports, Ports(Some((4000, 4001))));
    assert_eq!(settings.network, "10.0.0.0/8");
    assert!(warnings.is_empty());
    let from_environment = settings
        .shown()
        .filter(|shown| shown.origin == Origin::Environment);
    assert_eq!(from_environment.count(), 6);
}

#[test]
fn variables_of_other_implementations_are_translated_or_answered() {
    let transport = |name, value| {
        let (settings, told) = parse(&[(name, value)]).unwrap();
        (settings.transport.names().join(","), told.len())
    };
    for (name, value, means) in [
        ("I_MPI_FABRICS", "tcp", "tcp,self"),
        ("I_MPI_FABRICS", "OFI", "tcp,self"),
        ("I_MPI_FABRICS", "shm", "shm,self"),
        ("I_MPI_FABRICS", "shm:tcp", ""),
        ("I_MPI_FABRICS", "shm:ofi", ""),
        ("I_MPI_FABRICS", "", ""),
        ("I_MPI_DEVICE", "sock", "tcp,self"),
        ("MPIR_CVAR_NOLOCAL", "1", "tcp,self"),
        ("MPIR_CVAR_NOLOCAL", "0", ""),
        ("OMPI_MCA_btl", "tcp,self", "tcp,self"),
        ("OMPI_MCA_btl", "self,vader", "shm,self"),
        ("OMPI_MCA_btl", "self,sm,tcp", ""),
        ("OMPI_MCA_btl", "^tcp", "shm,self"),
        ("OMPI_MCA_btl", "^openib", ""),
        ("UCX_TLS", "tcp", "tcp,self"),
        ("UCX_TLS", "posix,cma,self", "shm,self"),
        ("UCX_TLS", "rc,sm,self", ""),
    ] {
        assert_eq!(transport(name, value), (means.into(), 0), "{name}={value}");
    }
    for (name, value) in [
        ("I_MPI_FABRICS", "shm:dapl"),
        ("I_MPI_DEVICE", "rdma"),
        ("OMPI_MCA_btl", "openib,self,vader"),
        ("OMPI_MCA_btl_tcp_if_exclude", "docker0"),
        ("I_MPI_PORT_RANGE", "many"),
    ] {
        let (settings, told) = parse(&[(name, value)]).unwrap();
        assert!(settings.transport.is_automatic());
        assert_eq!(told.len(), 1, "{name}");
        let start = format!("{name}={value} is another MPI's variable");
        assert!(
            told[0].starts_with(&start) && told[0].contains("FERRITE_"),
            "{}",
            told[0]
        );
    }
    let both = [("I_MPI_FABRICS", "tcp"), ("FERRITE_TRANSPORT", "shm,self")];
    assert_eq!(parse(&both).unwrap().0.transport.names(), ["shm", "self"]);
    let (settings, _) = parse(&[
        ("MPIEXEC_PORT_RANGE", "4000:4001"),
        ("OMPI_MCA_btl_tcp_if_include", "ib0"),
    ])
    .unwrap();
    assert_eq!(settings.ports, Ports(Some((4000, 4001))));
    assert_eq!(settings.network, "ib0");
}

#[test]
fn hints_name_similar_settings_only() {
    let told = |name| parse(&[(name, "1")]).unwrap().1.remove(0);
    assert!(told("FERRITE_SPINS").contains("did you mean FERRITE_SPIN?"));
    assert!(told("FERRITE_EAGER_LIMITS").contains("did you mean FERRITE_EAGER_LIMIT?"));
    for strange in ["FERRITE_FOO", "FERRITE_C", "FERRITE_LOG", "FERRITE_"] {
        assert!(!told(strange).contains("did you mean"), "{}", told(strange));
    }
}

#[test]
fn a_bad_value_names_variable_value_and_what_is_accepted() {
    let error = parse(&[("FERRITE_EAGER_LIMIT", "lots")]).unwrap_err();
    assert_eq!(error.class(), ErrorClass::ARG);
    for part in ["FERRITE_EAGER_LIMIT", "lots", "bytes", "64k"] {
        assert!(error.sentence().contains(part), "{error}");
    }
    let choice = parse(&[("FERRITE_TRANSPORT", "shm,rdma")]).unwrap().0;
    let networks: [&dyn Transport; 1] = [&ferrite_tcp::Tcp];
    let error = choice.transport.check(&networks).unwrap_err();
    assert!(error.sentence().contains("shm, tcp, self"), "{error}");
    let choice = parse(&[("FERRITE_TRANSPORT", "tcp,self")]).unwrap().0;
    choice.transport.check(&networks).unwrap();
    assert!(parse(&[("FERRITE_TRANSPORT", "shm,,self")]).is_err());
    for ports in ["0-5", "9-8", "70000", "1-", "a-b"] {
        assert!(parse(&[("FERRITE_PORT_RANGE", ports)]).is_err(), "{ports}");
    }
    assert!(parse(&[("FERRITE_CMA", "")]).is_err());
    assert!(
        parse(&[("FERRITE_TRANSPORT", "")])
            .unwrap()
            .0
            .transport
            .is_automatic()
    );
}

#[cfg(unix)]
#[test]
fn thresholds_of_collectives_are_set_by_name() {
    let name = "FERRITE_COLLECTIVES";
    let given = "board_bcast=64k, allgather_ring=1k";
    let (mut settings, _) = parse(&[(name, given)]).unwrap();
    assert_eq!(settings.collectives.board.longest.bcast[2], 64 << 10);
    assert_eq!(settings.collectives.messages.allgather_ring, 1 << 10);
    let built_in = Thresholds::DEFAULT;
    assert_eq!(
        settings.collectives.board.longest.bcast[0],
        built_in.board.longest.bcast[0]
    );
    let shown: Vec<String> = settings.shown().map(|shown| shown.value).collect();
    let text = String::from("allgather_ring=1k,board_bcast=64k");
    assert!(shown.contains(&text), "{shown:?}");
    settings.collectives = built_in;
    for (threshold, at) in Thresholds::named() {
        *at(&mut settings.collectives) = 12_345;
        let (again, _) = parse(&[(name, &format!("{threshold}=12345"))]).unwrap();
        assert_eq!(again.collectives, settings.collectives, "{threshold}");
        settings.collectives = built_in;
    }
    for wrong in [
        "board_bcast",
        "bord_bcast=1",
        "board_bcast=1x",
        "bcast_segment=0",
    ] {
        let error = parse(&[(name, wrong)]).unwrap_err();
        assert!(error.sentence().contains("board_scatter2"), "{error}");
    }
}

#[test]
fn a_value_that_is_not_text_is_a_bad_value() {
    use std::os::unix::ffi::OsStringExt;
    let value = OsString::from_vec(vec![0xff]);
    assert!(Settings::parse([("FERRITE_CMA".into(), value)]).is_err());
}

#[test]
fn an_unknown_name_is_a_warning_with_the_nearest_known_one() {
    let (_, warnings) = parse(&[("FERRITE_EAGER_LIMT", "1"), ("FERRITE_COLOUR", "blue")]).unwrap();
    assert!(
        warnings[0].contains("did you mean FERRITE_EAGER_LIMIT?"),
        "{}",
        warnings[0]
    );
    assert!(warnings[1].contains("FERRITE_COLOUR") && !warnings[1].contains("did you mean"));
    assert_eq!(warnings.len(), 2);
}
