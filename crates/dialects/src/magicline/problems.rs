//! Problems as Magicline spells them, in English and German. `args` and `typedArgs` are left out: the page types them
//! so that no value validates.

use service::Problem;

use super::language::Language;
use crate::http::{Request, Response};
use crate::json::Json;
use crate::problem;

pub(super) fn refuse(problem: &Problem, request: &Request<'_>, id: &str) -> Response {
    let language = Language::preferred(request.header("accept-language"));
    let message = match language {
        Language::English => problem::detail(problem),
        Language::German => german(problem),
    };
    let mut body = Json::with_capacity(256);
    body.object(|body| {
        body.key("errorMessage").string(&message);
        body.key("errorCode").string(problem::code(problem));
        body.key("traceId").string(id);
        if let Problem::BadRequest {
            field: Some(field), ..
        } = problem
        {
            body.key("reference").string(field);
        }
    });
    Response::json(problem::status(problem), body)
        .with("content-language", language.tag())
        .with("vary", "Accept-Language")
}

fn german(problem: &Problem) -> String {
    let text = match problem {
        Problem::BadRequest {
            field: Some(field), ..
        } => {
            return format!("Der Wert von „{field}“ ist ungültig; bitte prüfen.");
        }
        Problem::BadRequest { field: None, .. } => "Die Anfrage ist ungültig; bitte prüfen.",
        Problem::Unauthorized => "Die Zugangsdaten fehlen oder gelten nicht; bitte den API-Schlüssel prüfen.",
        Problem::Forbidden {
            scope: Some(scope), ..
        } => {
            return format!("Diesem API-Schlüssel fehlt die Berechtigung „{scope}“.");
        }
        Problem::Forbidden { scope: None, .. } => "Dieser API-Schlüssel darf das nicht.",
        Problem::NotFound { .. } => {
            "Dieses Mitglied gibt es nicht, oder der API-Schlüssel darf es nicht sehen."
        }
        Problem::MethodNotAllowed { allow } => {
            return format!("Unter diesem Pfad gehen nur andere Methoden: {allow}.");
        }
        Problem::Conflict { .. } => {
            "Das Konto hat Guthaben oder Schulden in mehreren Währungen; bitte jede Währung auf ein eigenes Konto buchen."
        }
        Problem::Rejected(_) => "Die Buchung wurde abgelehnt.",
        Problem::TooLarge { limit, .. } => {
            return format!("Die Anfrage ist zu groß; höchstens {limit} sind auf einmal erlaubt.");
        }
        Problem::UnsupportedMediaType => "Die Anfrage muss JSON enthalten.",
        Problem::RateLimited(standing) => {
            return format!(
                "Dieser API-Schlüssel darf {} Anfragen pro Minute stellen; bitte in {} s wiederholen.",
                standing.limit, standing.retry_after
            );
        }
        Problem::PositionNotReached { wanted, reached } => {
            return format!("Position {wanted} ist noch nicht erreicht, das Buch steht bei {reached}.");
        }
        Problem::Unavailable { .. } => "Der Dienst ist gerade nicht verfügbar; bitte gleich wiederholen.",
        Problem::ValuationUnavailable { .. } => "Der Wert lässt sich nicht berechnen.",
        Problem::Internal { .. } => {
            "Hier ist etwas schiefgegangen; das Protokoll führt es unter der „X-Request-Id“ dieser Antwort."
        }
    };
    text.to_owned()
}
