/// What an operator can say about the edge, as plain values.
///
/// ``EdgeConfiguration`` is the whole; ``ConfigurationLoader`` reads it from text and says what is
/// wrong with it. The one difficulty is that a value must be checked where its place in the text is
/// still known: the settings themselves carry no places, so that two of them compare by meaning.
///
/// ```swift
/// var upstream = UpstreamSettings(name: "api")
/// upstream.members = [MemberSettings(address: .unix("api.sock"), weight: 2)]
/// var server = ServerSettings(names: [.exact("shop.example")])
/// server.listeners = [ListenerSettings(address: .any(port: 8080))]
/// server.routes = [RouteSettings(path: .prefix("/"), handler: .proxy(upstream: "api"))]
/// let configuration = EdgeConfiguration(servers: [server], upstreams: [upstream])
/// ```
