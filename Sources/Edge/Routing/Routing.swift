/// Which server and which route a request belongs to: tables that are compiled once and asked often.
///
/// Hosts are found by ``HostTable``, paths by ``PathTable``; ``NetworkSet``, ``TextMatcher``,
/// ``QueryParameters`` and ``QueryText`` answer what a route may ask besides. All of them are immutable
/// values, and none allocates when it is asked what requests usually ask.
///
/// The one difficulty is that routes mean what trying them from top to bottom means, while a look-up
/// must not cost more with ten thousand routes than with ten. A ``PathTable`` therefore walks the path
/// once, collects the few patterns that take it, and only these are tried in the order written.
///
/// ```swift
/// let hosts = HostTable([(.exact("shop.example"), 0), (.wildcard(suffix: ".example"), 1)])
/// hosts.value(for: Array("Shop.Example".utf8).span)   // 0
///
/// let paths = PathTable([.exact("/cart"), .prefix("/static/"), .prefix("/")])
/// paths.firstMatch(Array("/static/a.css".utf8).span) { _ in true }   // 1
/// ```
