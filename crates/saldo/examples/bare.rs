//! What `cargo xtask bench` measures reads against: axum and nothing behind it, with the allocator, the runtime and the build of
//! `saldo serve`. `bare URL` listens on a port of 127.0.0.1, gives the first request to the server of this URL, and answers
//! every request with what that one answered, byte for byte.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Answer = (StatusCode, HeaderMap, Bytes);
type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Bare {
    like: String,
    answer: OnceLock<Answer>,
}

async fn answer(State(bare): State<Arc<Bare>>, request: Request) -> Answer {
    if let Some(answer) = bare.answer.get() {
        return answer.clone();
    }
    let url = format!("{}{}", bare.like, request.uri());
    let headers = request.headers().clone();
    let asked = tokio::task::spawn_blocking(move || ask(&url, &headers)).await;
    match asked.map_err(Failure::from).and_then(|answer| answer) {
        Ok(answer) => bare.answer.get_or_init(|| answer).clone(),
        Err(error) => (
            StatusCode::BAD_GATEWAY,
            HeaderMap::new(),
            error.to_string().into(),
        ),
    }
}

/// Asks the server that is to be like.
fn ask(url: &str, headers: &HeaderMap) -> Result<Answer, Failure> {
    let mut request = ureq::get(url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let mut answer = request.call()?;
    let body = answer.body_mut().read_to_vec()?;
    let mut headers = answer.headers().clone();
    // What hyper writes by itself.
    for own in ["content-length", "date", "connection"] {
        headers.remove(own);
    }
    Ok((answer.status(), headers, body.into()))
}

async fn serve(like: String) -> Result<(), Failure> {
    let bare = Arc::new(Bare {
        like,
        answer: OnceLock::new(),
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, Router::new().fallback(answer).with_state(bare)).await?;
    Ok(())
}

fn main() -> Result<(), Failure> {
    let like = std::env::args()
        .nth(1)
        .ok_or("like which server? Give its URL.")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(like))
}
