/// The fields that Martlet or most messages use, so that a name is compared once.
///
/// - Source: RFC 9110, section 5.1; the registry of field names that it sets up.
public enum FieldName: UInt8, Sendable, CaseIterable {
  /// A name that is none of the others; compare its bytes.
  case other
  /// Host.
  case host
  /// Connection.
  case connection
  /// Content-Length.
  case contentLength
  /// Transfer-Encoding.
  case transferEncoding
  /// Expect.
  case expect
  /// Upgrade.
  case upgrade
  /// Keep-Alive.
  case keepAlive
  /// Proxy-Connection.
  case proxyConnection
  /// TE.
  case te
  /// Trailer.
  case trailer
  /// Via.
  case via
  /// Forwarded.
  case forwarded
  /// X-Forwarded-For.
  case xForwardedFor
  /// X-Forwarded-Proto.
  case xForwardedProto
  /// X-Forwarded-Host.
  case xForwardedHost
  /// X-Forwarded-Port.
  case xForwardedPort
  /// X-Real-IP.
  case xRealIP
  /// X-Request-ID.
  case xRequestID
  /// Date.
  case date
  /// Server.
  case server
  /// Cookie.
  case cookie
  /// Set-Cookie.
  case setCookie
  /// Location.
  case location
  /// Content-Type.
  case contentType
  /// User-Agent.
  case userAgent
  /// Referer.
  case referer
  /// Authorization.
  case authorization
  /// Proxy-Authorization.
  case proxyAuthorization
  /// Proxy-Authenticate.
  case proxyAuthenticate
  /// Proxy-Authentication-Info.
  case proxyAuthenticationInfo
  /// WWW-Authenticate.
  case wwwAuthenticate
  /// Authentication-Info.
  case authenticationInfo
  /// Cache-Control.
  case cacheControl
  /// Range.
  case range
  /// Content-Range.
  case contentRange
  /// Accept-Ranges.
  case acceptRanges
  /// Accept.
  case accept
  /// Accept-Encoding.
  case acceptEncoding
  /// Accept-Language.
  case acceptLanguage
  /// Content-Encoding.
  case contentEncoding
  /// Content-Language.
  case contentLanguage
  /// Content-Location.
  case contentLocation
  /// Content-Disposition.
  case contentDisposition
  /// HTTP2-Settings.
  case http2Settings
  /// Origin.
  case origin
  /// Pragma.
  case pragma
  /// Priority.
  case priority
  /// Age.
  case age
  /// Expires.
  case expires
  /// ETag.
  case eTag
  /// Last-Modified.
  case lastModified
  /// Vary.
  case vary
  /// If-Match.
  case ifMatch
  /// If-None-Match.
  case ifNoneMatch
  /// If-Modified-Since.
  case ifModifiedSince
  /// If-Unmodified-Since.
  case ifUnmodifiedSince
  /// If-Range.
  case ifRange
  /// Max-Forwards.
  case maxForwards
  /// Retry-After.
  case retryAfter
  /// Allow.
  case allow
  /// Link.
  case link
  /// From.
  case from
  /// Warning.
  case warning
  /// Alt-Svc.
  case altSvc
  /// Alternates.
  case alternates
  /// Early-Data.
  case earlyData
  /// DNT.
  case dnt
  /// Upgrade-Insecure-Requests.
  case upgradeInsecureRequests
  /// Sec-Fetch-Site.
  case secFetchSite
  /// Sec-Fetch-Mode.
  case secFetchMode
  /// Sec-Fetch-Dest.
  case secFetchDest
  /// Sec-Fetch-User.
  case secFetchUser
  /// Sec-CH-UA.
  case secCHUA
  /// Sec-CH-UA-Mobile.
  case secCHUAMobile
  /// Sec-CH-UA-Platform.
  case secCHUAPlatform
  /// Sec-GPC.
  case secGPC
  /// Sec-WebSocket-Key.
  case secWebSocketKey
  /// Sec-WebSocket-Accept.
  case secWebSocketAccept
  /// Sec-WebSocket-Version.
  case secWebSocketVersion
  /// Sec-WebSocket-Protocol.
  case secWebSocketProtocol
  /// Sec-WebSocket-Extensions.
  case secWebSocketExtensions
  /// Strict-Transport-Security.
  case strictTransportSecurity
  /// Content-Security-Policy.
  case contentSecurityPolicy
  /// Access-Control-Allow-Origin.
  case accessControlAllowOrigin
  /// X-Content-Type-Options.
  case xContentTypeOptions
  /// X-Frame-Options.
  case xFrameOptions
  /// X-Requested-With.
  case xRequestedWith
  /// X-Powered-By.
  case xPoweredBy
  /// traceparent.
  case traceparent
  /// tracestate.
  case tracestate
  /// grpc-timeout.
  case grpcTimeout
  /// grpc-status.
  case grpcStatus

  /// The name as it is usually written; empty for ``other``.
  public var text: StaticString { FieldNameTable.shared.texts[Int(rawValue)] }

  /// Whether the field belongs to one connection, whatever Connection says, and is never passed on.
  ///
  /// RFC 9110, section 7.6.1.
  public var isHopByHop: Bool {
    switch self {
    case .connection, .keepAlive, .proxyConnection, .te, .transferEncoding, .upgrade,
      .http2Settings:
      true
    default: false
    }
  }

  /// Whether a trailer with this name makes the message malformed: to a reader that takes trailers
  /// for head fields it would change where messages end or to whom they go.
  ///
  /// RFC 9110, section 6.5.1; RFC 9112, section 6.1.
  public var isRefusedInTrailers: Bool {
    switch self {
    case .host, .contentLength, .transferEncoding, .connection, .upgrade, .http2Settings, .expect:
      true
    default: false
    }
  }

  /// Whether a trailer with this name is not passed on: it would change framing, routing,
  /// authentication or the meaning of content that was passed on already.
  ///
  /// RFC 9110, section 6.5.1.
  public var isForbiddenInTrailers: Bool {
    switch self {
    case .host, .contentLength, .transferEncoding, .trailer, .te, .connection, .keepAlive,
      .proxyConnection, .upgrade, .http2Settings, .expect, .maxForwards, .range,
      .authorization, .proxyAuthorization, .proxyAuthenticate, .wwwAuthenticate,
      .cookie, .setCookie, .location, .cacheControl, .pragma, .vary, .age, .expires,
      .contentType, .contentEncoding, .contentRange, .contentLocation, .contentDisposition,
      .via, .forwarded, .xForwardedFor, .xForwardedProto, .xForwardedHost, .xForwardedPort,
      .xRealIP, .xRequestID, .ifMatch, .ifNoneMatch, .ifModifiedSince, .ifUnmodifiedSince,
      .ifRange, .retryAfter, .date, .secWebSocketKey, .secWebSocketAccept:
      true
    default: false
    }
  }

  // The one table: a name is added to the cases above and here, and nowhere else.
  static let spellings: [(FieldName, StaticString)] = [
    (.host, "Host"),
    (.connection, "Connection"),
    (.contentLength, "Content-Length"),
    (.transferEncoding, "Transfer-Encoding"),
    (.expect, "Expect"),
    (.upgrade, "Upgrade"),
    (.keepAlive, "Keep-Alive"),
    (.proxyConnection, "Proxy-Connection"),
    (.te, "TE"),
    (.trailer, "Trailer"),
    (.via, "Via"),
    (.forwarded, "Forwarded"),
    (.xForwardedFor, "X-Forwarded-For"),
    (.xForwardedProto, "X-Forwarded-Proto"),
    (.xForwardedHost, "X-Forwarded-Host"),
    (.xForwardedPort, "X-Forwarded-Port"),
    (.xRealIP, "X-Real-IP"),
    (.xRequestID, "X-Request-ID"),
    (.date, "Date"),
    (.server, "Server"),
    (.cookie, "Cookie"),
    (.setCookie, "Set-Cookie"),
    (.location, "Location"),
    (.contentType, "Content-Type"),
    (.userAgent, "User-Agent"),
    (.referer, "Referer"),
    (.authorization, "Authorization"),
    (.proxyAuthorization, "Proxy-Authorization"),
    (.proxyAuthenticate, "Proxy-Authenticate"),
    (.proxyAuthenticationInfo, "Proxy-Authentication-Info"),
    (.wwwAuthenticate, "WWW-Authenticate"),
    (.authenticationInfo, "Authentication-Info"),
    (.cacheControl, "Cache-Control"),
    (.range, "Range"),
    (.contentRange, "Content-Range"),
    (.acceptRanges, "Accept-Ranges"),
    (.accept, "Accept"),
    (.acceptEncoding, "Accept-Encoding"),
    (.acceptLanguage, "Accept-Language"),
    (.contentEncoding, "Content-Encoding"),
    (.contentLanguage, "Content-Language"),
    (.contentLocation, "Content-Location"),
    (.contentDisposition, "Content-Disposition"),
    (.http2Settings, "HTTP2-Settings"),
    (.origin, "Origin"),
    (.pragma, "Pragma"),
    (.priority, "Priority"),
    (.age, "Age"),
    (.expires, "Expires"),
    (.eTag, "ETag"),
    (.lastModified, "Last-Modified"),
    (.vary, "Vary"),
    (.ifMatch, "If-Match"),
    (.ifNoneMatch, "If-None-Match"),
    (.ifModifiedSince, "If-Modified-Since"),
    (.ifUnmodifiedSince, "If-Unmodified-Since"),
    (.ifRange, "If-Range"),
    (.maxForwards, "Max-Forwards"),
    (.retryAfter, "Retry-After"),
    (.allow, "Allow"),
    (.link, "Link"),
    (.from, "From"),
    (.warning, "Warning"),
    (.altSvc, "Alt-Svc"),
    (.alternates, "Alternates"),
    (.earlyData, "Early-Data"),
    (.dnt, "DNT"),
    (.upgradeInsecureRequests, "Upgrade-Insecure-Requests"),
    (.secFetchSite, "Sec-Fetch-Site"),
    (.secFetchMode, "Sec-Fetch-Mode"),
    (.secFetchDest, "Sec-Fetch-Dest"),
    (.secFetchUser, "Sec-Fetch-User"),
    (.secCHUA, "Sec-CH-UA"),
    (.secCHUAMobile, "Sec-CH-UA-Mobile"),
    (.secCHUAPlatform, "Sec-CH-UA-Platform"),
    (.secGPC, "Sec-GPC"),
    (.secWebSocketKey, "Sec-WebSocket-Key"),
    (.secWebSocketAccept, "Sec-WebSocket-Accept"),
    (.secWebSocketVersion, "Sec-WebSocket-Version"),
    (.secWebSocketProtocol, "Sec-WebSocket-Protocol"),
    (.secWebSocketExtensions, "Sec-WebSocket-Extensions"),
    (.strictTransportSecurity, "Strict-Transport-Security"),
    (.contentSecurityPolicy, "Content-Security-Policy"),
    (.accessControlAllowOrigin, "Access-Control-Allow-Origin"),
    (.xContentTypeOptions, "X-Content-Type-Options"),
    (.xFrameOptions, "X-Frame-Options"),
    (.xRequestedWith, "X-Requested-With"),
    (.xPoweredBy, "X-Powered-By"),
    (.traceparent, "traceparent"),
    (.tracestate, "tracestate"),
    (.grpcTimeout, "grpc-timeout"),
    (.grpcStatus, "grpc-status"),
  ]
}
