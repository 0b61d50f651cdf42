//! Finding the route of a request: a tree of path segments over all wire formats.

use crate::config::{Config, Mount};
use crate::http::{Method, Params};
use crate::route::{Dialect, Route};

/// The routes of all wire formats that are switched on.
pub struct Router {
    config: Config,
    dialects: Vec<(Dialect, Mount)>,
    nodes: Vec<Node>,
}

/// A place in the tree: what has been read of a path so far.
#[derive(Default)]
struct Node {
    literals: Vec<(String, usize)>,
    varying: Option<usize>,
    /// The routes that end here: the dialect's number and the route's.
    ends: Vec<(usize, usize)>,
}

/// What a method and a path lead to.
pub enum Found<'r, 'p> {
    /// A route.
    Route {
        /// The wire format.
        dialect: &'r Dialect,
        /// Where it is mounted.
        mount: &'r Mount,
        /// The route.
        route: &'r Route,
        /// What the path has in the places of the pattern's `{…}`.
        params: Params<'p>,
    },
    /// The path is known, with other methods.
    OtherMethods {
        /// The wire format.
        dialect: &'r Dialect,
        /// Its methods, as `Allow` lists them.
        allow: String,
    },
    /// The path is unknown.
    Nothing,
}

impl Router {
    /// The routes of every wire format that `config` switches on.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::of(crate::all(), config)
    }

    /// The routes of these wire formats, where `config` switches them on.
    #[must_use]
    pub fn of(dialects: Vec<Dialect>, config: Config) -> Self {
        let mounted = dialects.into_iter().map(|dialect| {
            let mount = (dialect.mount)(&config);
            (dialect, mount)
        });
        let dialects: Vec<_> = mounted.filter(|(_, mount)| mount.enabled).collect();
        let mut nodes = vec![Node::default()];
        for (at, (dialect, mount)) in dialects.iter().enumerate() {
            for (nth, route) in dialect.routes.iter().enumerate() {
                let node = insert(&mut nodes, &format!("{}{}", mount.prefix, route.pattern));
                nodes[node].ends.push((at, nth));
            }
        }
        Self {
            config,
            dialects,
            nodes,
        }
    }

    /// What the wire formats were told.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Every route with the path that it has here, its wire format first.
    pub fn routes(&self) -> impl Iterator<Item = (&Dialect, String, &Route)> {
        self.dialects.iter().flat_map(|(dialect, mount)| {
            let path = |route: &Route| format!("{}{}", mount.prefix, route.pattern);
            dialect
                .routes
                .iter()
                .map(move |route| (dialect, path(route), route))
        })
    }

    /// What a method and a percent-encoded path lead to.
    #[must_use]
    pub fn find<'p>(&self, method: Method, path: &'p str) -> Found<'_, 'p> {
        let mut params = Params::new();
        let Some(node) = path
            .strip_prefix('/')
            .and_then(|rest| self.walk(0, rest, &mut params))
        else {
            return Found::Nothing;
        };
        let ends = || node.ends.iter().map(|(at, nth)| (&self.dialects[*at], *nth));
        let wanted = if method == Method::Head {
            Method::Get
        } else {
            method
        };
        for ((dialect, mount), nth) in ends() {
            let route = &dialect.routes[nth];
            if route.method == wanted {
                return Found::Route {
                    dialect,
                    mount,
                    route,
                    params,
                };
            }
        }
        let mut methods: Vec<Method> = ends()
            .map(|((dialect, _), nth)| dialect.routes[nth].method)
            .collect();
        if methods.contains(&Method::Get) {
            methods.push(Method::Head);
        }
        methods.sort_unstable();
        match ends().next() {
            Some(((dialect, _), _)) => Found::OtherMethods {
                dialect,
                allow: methods
                    .iter()
                    .map(|method| method.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            },
            None => Found::Nothing,
        }
    }

    /// The node where `rest` of a path ends. A literal segment goes before a varying one.
    fn walk<'p>(&self, node: usize, rest: &'p str, params: &mut Params<'p>) -> Option<&Node> {
        // Segments are so short that a library's search would take longer to begin than to end.
        let end = rest.bytes().position(|byte| byte == b'/');
        let (segment, rest) = match end {
            Some(end) => (&rest[..end], Some(&rest[end + 1..])),
            None => (rest, None),
        };
        let here = &self.nodes[node];
        let go_on = |next: usize, params: &mut Params<'p>| match rest {
            Some(rest) => self.walk(next, rest, params),
            None => Some(&self.nodes[next]).filter(|node| !node.ends.is_empty()),
        };
        if let Some((_, next)) = here.literals.iter().find(|(literal, _)| literal == segment)
            && let Some(found) = go_on(*next, params)
        {
            return Some(found);
        }
        let next = here.varying.filter(|_| !segment.is_empty())?;
        params.push(segment);
        let found = go_on(next, params);
        if found.is_none() {
            params.pop();
        }
        found
    }
}

/// The node where `pattern` ends, made if need be.
fn insert(nodes: &mut Vec<Node>, pattern: &str) -> usize {
    let mut at = 0;
    for segment in pattern.split('/').skip(1) {
        let known = match segment.starts_with('{') {
            true => nodes[at].varying,
            false => nodes[at]
                .literals
                .iter()
                .find(|(literal, _)| literal == segment)
                .map(|(_, next)| *next),
        };
        at = known.unwrap_or_else(|| {
            let next = nodes.len();
            nodes.push(Node::default());
            match segment.starts_with('{') {
                true => nodes[at].varying = Some(next),
                false => nodes[at].literals.push((segment.to_owned(), next)),
            }
            next
        });
    }
    at
}
