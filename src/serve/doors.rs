//! What the gates counted, for the status and the metrics.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::evidence::Tenant;
use crate::measure::prometheus::{Kind, Page};
use crate::receive::{Away, Denied, Gate, Tls};

/// Who comes in at the doors of OTLP, and at the API.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct DoorPart {
    door: &'static str,
    connections: u64,
    /// Connections that ended before their first request, by reason.
    turned_away: BTreeMap<&'static str, u64>,
    /// Requests that were not let in, by reason.
    denied: BTreeMap<&'static str, u64>,
    /// As the settings name them.
    tenants: Vec<TenantPart>,
    /// When the certificate in use ends, in seconds since 1970; absent without TLS.
    certificate_expiry_s: Option<u64>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct TenantPart {
    name: String,
    /// Its number in the log.
    number: u32,
    requests: u64,
}

pub(super) fn door(door: &'static str, gate: &Gate) -> DoorPart {
    let tenant = |(name, Tenant(number), requests)| TenantPart { name, number, requests };
    DoorPart {
        door,
        connections: gate.open(),
        turned_away: Away::ALL.map(|away| (away.name(), gate.away(away))).into(),
        denied: Denied::ALL.map(|denied| (denied.name(), gate.denied(denied))).into(),
        tenants: gate.tenants().into_iter().map(tenant).collect(),
        certificate_expiry_s: gate.tls().map(Tls::not_after),
    }
}

/// Who came in and who did not.
pub(super) fn write(gates: &[(&'static str, Gate)], page: &mut Page<'_>) {
    let name = "hopline_door_connections";
    page.family(name, Kind::Gauge, "Open connections.");
    for (door, gate) in gates {
        page.sample(name, &[("door", door)], gate.open());
    }
    let name = "hopline_door_turned_away_total";
    page.family(name, Kind::Counter, "Connections that ended before a request, by reason.");
    for (door, gate) in gates {
        for away in Away::ALL {
            page.sample(name, &[("door", door), ("reason", away.name())], gate.away(away));
        }
    }
    let name = "hopline_door_denied_total";
    page.family(name, Kind::Counter, "Requests that were not let in, by reason.");
    for (door, gate) in gates {
        for denied in Denied::ALL {
            page.sample(name, &[("door", door), ("reason", denied.name())], gate.denied(denied));
        }
    }
    let name = "hopline_door_tenant_requests_total";
    page.family(name, Kind::Counter, "Requests that were let in, by the tenant of the settings.");
    for (door, gate) in gates {
        for (tenant, _, requests) in gate.tenants() {
            page.sample(name, &[("door", door), ("tenant", &tenant)], requests);
        }
    }
    let certificates = || gates.iter().filter_map(|(door, gate)| Some((*door, gate.tls()?)));
    let name = "hopline_tls_certificate_expiry_seconds";
    page.family(name, Kind::Gauge, "When the certificate in use ends, in seconds since 1970.");
    for (door, tls) in certificates() {
        page.sample(name, &[("door", door)], tls.not_after());
    }
    let name = "hopline_tls_reloads_total";
    page.family(name, Kind::Counter, "New certificates: taken, or wrong and not taken (kept).");
    for (door, tls) in certificates() {
        let (taken, kept) = tls.reloads();
        page.sample(name, &[("door", door), ("result", "taken")], taken);
        page.sample(name, &[("door", door), ("result", "kept")], kept);
    }
}
