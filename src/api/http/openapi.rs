//! The description of the interface (OpenAPI 3.1), printed from the table that requests are led
//! by: it cannot say what is not so.

use super::head::Request;
use super::response::Response;
use super::routes::{self, Needs, Route};
use crate::core::Agent;
use crate::core::auth::Caller;
use crate::core::report::VERSION;
use crate::packed::Packed;
use crate::wire::json;

/// The schemas that the table names, one a line.
static SCHEMAS: Packed = Packed::new(include_bytes!(concat!(env!("OUT_DIR"), "/schemas.json")));

/// `GET /api/openapi.json`.
pub(super) fn describe(_: &mut Agent, _: &Caller, _: &Request) -> Response {
    let mut out = Vec::new();
    out.extend_from_slice(b"{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"Portolan\",\"version\":");
    json::string(&mut out, VERSION);
    out.extend_from_slice(b"},\"paths\":{");
    let mut paths: Vec<&str> = Vec::new();
    for route in routes::all() {
        if paths.contains(&route.path) {
            continue;
        }
        if !paths.is_empty() {
            out.push(b',');
        }
        paths.push(route.path);
        json::string(&mut out, route.path);
        out.extend_from_slice(b":{");
        let operations = routes::all().filter(|other| other.path == route.path);
        for (at, operation) in operations.enumerate() {
            if at > 0 {
                out.push(b',');
            }
            describe_one(&mut out, operation);
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"},\"components\":{\"schemas\":");
    out.extend_from_slice(SCHEMAS.text().trim_end().as_bytes());
    out.extend_from_slice(
        b",\"securitySchemes\":{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\"},",
    );
    out.extend_from_slice(b"\"basic\":{\"type\":\"http\",\"scheme\":\"basic\"},");
    out.extend_from_slice(
        b"\"cookie\":{\"type\":\"apiKey\",\"in\":\"cookie\",\"name\":\"authtoken\"},",
    );
    out.extend_from_slice(
        b"\"header\":{\"type\":\"apiKey\",\"in\":\"header\",\"name\":\"X-Auth-Token\"}}}}",
    );
    Response::json(200, out)
}

fn describe_one(out: &mut Vec<u8>, route: &Route) {
    json::string(out, &route.method.name().to_ascii_lowercase());
    out.extend_from_slice(b":{\"summary\":");
    json::string(out, route.about.summary);
    out.extend_from_slice(b",\"tags\":[");
    json::string(out, route.object);
    out.push(b']');
    let names = route.path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}'));
    for (at, name) in names.enumerate() {
        out.extend_from_slice(if at == 0 {
            b",\"parameters\":[{\"name\":"
        } else {
            b",{\"name\":"
        });
        json::string(out, name);
        out.extend_from_slice(
            b",\"in\":\"path\",\"required\":true,\"schema\":{\"type\":\"string\"}}",
        );
    }
    if route.path.contains('{') {
        out.push(b']');
    }
    if let Some((media, schema)) = route.about.body {
        out.extend_from_slice(b",\"requestBody\":{\"content\":");
        content(out, std::iter::once((media, schema)));
        out.push(b'}');
    }
    if route.needs == Needs::Nothing {
        out.extend_from_slice(b",\"security\":[]");
    } else {
        // Without credentials in the configuration none are asked for: the last one says so.
        out.extend_from_slice(
            b",\"security\":[{\"bearer\":[]},{\"basic\":[]},{\"cookie\":[]},{\"header\":[]},{}]",
        );
    }
    out.extend_from_slice(b",\"responses\":{");
    let mut told: Vec<u16> = Vec::new();
    let common: &[(u16, &str, &str)] = match route.needs {
        Needs::Nothing => &[],
        Needs::Role(_) => &[(401, "text/plain", "Text"), (405, "text/plain", "Text")],
    };
    let answers = || route.about.answers.iter().chain(common);
    for (status, ..) in answers() {
        if told.contains(status) {
            continue;
        }
        if !told.is_empty() {
            out.push(b',');
        }
        told.push(*status);
        json::string(out, &status.to_string());
        out.extend_from_slice(b":{\"description\":");
        json::string(out, super::response::reason(*status));
        out.extend_from_slice(b",\"content\":");
        content(out, answers().filter(|(s, ..)| s == status).map(|(_, m, schema)| (*m, *schema)));
        out.push(b'}');
    }
    out.extend_from_slice(b"}}");
}

fn content<'a>(out: &mut Vec<u8>, kinds: impl Iterator<Item = (&'a str, &'a str)>) {
    out.push(b'{');
    for (at, (media, schema)) in kinds.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::string(out, media);
        out.extend_from_slice(b":{\"schema\":{\"$ref\":");
        json::string(out, &format!("#/components/schemas/{schema}"));
        out.extend_from_slice(b"}}");
    }
    out.push(b'}');
}
