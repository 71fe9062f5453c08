/// Why a message is refused.
///
/// The connection it came on has no further message that could be found: it is to be closed.
public struct MessageError: Error, Hashable, Sendable {
  /// The defect.
  public var reason: Reason

  /// The status to answer with: 400, 414, 417, 431, 501 or 505 for what a client sent, 502 for what
  /// an upstream sent.
  public var status: UInt16

  /// Creates the error of a request with the status that fits the defect.
  public init(_ reason: Reason) {
    self.reason = reason
    status = reason.status
  }

  /// The same defect in a response of an upstream: 502 (Bad Gateway).
  public var fromUpstream: MessageError {
    var error = self
    error.status = 502
    return error
  }

  /// Each defect by its name, which logs and counters show.
  public enum Reason: String, Hashable, Sendable, CaseIterable {
    // How lines end and which bytes they hold.

    /// A line ends with LF alone. RFC 9112, section 2.2.
    case bareLineFeed = "bare_line_feed"
    /// CR stands without LF behind it. RFC 9112, section 2.2.
    case bareCarriageReturn = "bare_carriage_return"
    /// A NUL byte. RFC 9110, section 5.5.
    case nulByte = "nul_byte"
    /// A control byte other than CR, LF, NUL and HTAB. RFC 9110, section 5.5.
    case controlByte = "control_byte"
    /// The head is longer than `headBytes`. RFC 6585, section 5.
    case headTooLarge = "head_too_large"

    // The request line.

    /// More than two empty lines before the request line. RFC 9112, section 2.2.
    case leadingEmptyLines = "leading_empty_lines"
    /// Whitespace before the request line. RFC 9112, section 2.2.
    case leadingWhitespace = "leading_whitespace"
    /// Not three parts with one space between them. RFC 9112, section 3.
    case malformedRequestLine = "malformed_request_line"
    /// The method is not a token. RFC 9110, section 9.1.
    case malformedMethod = "malformed_method"
    /// The method is longer than any that is known. RFC 9112, section 3.
    case methodTooLong = "method_too_long"
    /// The version is not `HTTP/` and two digits. RFC 9112, section 2.3.
    case malformedVersion = "malformed_version"
    /// A major version other than 1. RFC 9110, section 15.6.6.
    case unsupportedVersion = "unsupported_version"

    // The request target.

    /// The target is longer than `targetBytes`. RFC 9110, section 15.5.15.
    case targetTooLong = "target_too_long"
    /// None of the four forms, or not one for this method. RFC 9112, section 3.2.
    case malformedTarget = "malformed_target"
    /// A byte that no target may hold. RFC 3986, section 2.
    case targetByte = "target_byte"
    /// A fragment in the target. RFC 9112, section 3.2.1.
    case targetFragment = "target_fragment"
    /// CONNECT without `host:port`. RFC 9112, section 3.2.3.
    case connectWithoutAuthority = "connect_without_authority"
    /// `*` with a method other than OPTIONS. RFC 9112, section 3.2.4.
    case asteriskWithoutOptions = "asterisk_without_options"
    /// An absolute target that is not http or https. RFC 9110, section 4.2.
    case unsupportedScheme = "unsupported_scheme"
    /// `%` without two hexadecimal digits. RFC 3986, section 2.1.
    case malformedPercentEncoding = "malformed_percent_encoding"
    /// An escaped control byte in the path. RFC 3986, section 7.3.
    case encodedControl = "encoded_control"
    /// An escaped backslash in the path, which some servers take for a slash.
    case encodedBackslash = "encoded_backslash"
    /// A path segment `.` or `..`, also escaped. RFC 3986, section 5.2.4.
    case dotSegment = "dot_segment"

    // The host.

    /// No Host in HTTP/1.1. RFC 9112, section 3.2.
    case missingHost = "missing_host"
    /// More than one Host. RFC 9112, section 3.2.
    case repeatedHost = "repeated_host"
    /// An empty host. RFC 9110, section 4.2.1.
    case emptyHost = "empty_host"
    /// A host that is neither a name nor an address. RFC 9110, section 7.2.
    case malformedHost = "malformed_host"
    /// A port that is not 1 to 65535. RFC 3986, section 3.2.3.
    case malformedPort = "malformed_port"
    /// A user before the host. RFC 9110, section 4.2.4.
    case userinfo = "userinfo"
    /// Host is not the authority of the target. RFC 9112, section 3.2.
    case conflictingHost = "conflicting_host"

    // Field lines.

    /// A line without a colon. RFC 9112, section 5.
    case missingColon = "missing_colon"
    /// Nothing before the colon. RFC 9112, section 5.
    case emptyFieldName = "empty_field_name"
    /// Whitespace between the name and the colon. RFC 9112, section 5.1.
    case spaceBeforeColon = "space_before_colon"
    /// A name that is not a token, or `Content_Length` or `Transfer_Encoding`, which gateways take
    /// for the fields with a hyphen. RFC 9110, section 5.1.
    case malformedFieldName = "malformed_field_name"
    /// A line that continues the one before. RFC 9112, section 5.2.
    case foldedLine = "folded_line"
    /// Whitespace before the first field line. RFC 9112, section 2.2.
    case whitespaceBeforeFields = "whitespace_before_fields"
    /// A name longer than `fieldNameBytes`. RFC 6585, section 5.
    case fieldNameTooLong = "field_name_too_long"
    /// A line longer than `lineBytes`. RFC 6585, section 5.
    case fieldLineTooLong = "field_line_too_long"
    /// More lines than `fieldCount`. RFC 6585, section 5.
    case tooManyFields = "too_many_fields"

    // Framing.

    /// More than one Content-Length, or a list. RFC 9112, section 6.3.
    case repeatedContentLength = "repeated_content_length"
    /// Content-Length is not digits alone. RFC 9110, section 8.6.
    case malformedContentLength = "malformed_content_length"
    /// Content-Length is 2^63 or more. RFC 9110, section 8.6.
    case contentLengthOverflow = "content_length_overflow"
    /// Both ways to say the length. RFC 9112, section 6.3.
    case contentLengthWithTransferEncoding = "content_length_with_transfer_encoding"
    /// Transfer-Encoding in HTTP/1.0. RFC 9112, section 6.1.
    case transferEncodingInHTTP10 = "transfer_encoding_in_http10"
    /// More than one Transfer-Encoding. RFC 9112, section 6.1.
    case repeatedTransferEncoding = "repeated_transfer_encoding"
    /// Transfer-Encoding is not a list of tokens. RFC 9112, section 6.1.
    case malformedTransferEncoding = "malformed_transfer_encoding"
    /// `chunked` more than once. RFC 9112, section 6.1.
    case repeatedChunked = "repeated_chunked"
    /// Another coding behind `chunked`. RFC 9112, section 6.3.
    case chunkedNotLast = "chunked_not_last"
    /// A coding other than `chunked`. RFC 9112, section 6.1.
    case unknownTransferCoding = "unknown_transfer_coding"
    /// Content with CONNECT or TRACE. RFC 9110, sections 9.3.6 and 9.3.8.
    case contentNotAllowed = "content_not_allowed"

    // Connection and expectations.

    /// Connection is not a list of tokens. RFC 9110, section 7.6.1.
    case malformedConnection = "malformed_connection"
    /// Connection names Host, Content-Length or Transfer-Encoding. RFC 9110, section 7.6.1.
    case connectionNamesFraming = "connection_names_framing"
    /// More names than `connectionOptionCount`. RFC 9110, section 7.6.1.
    case tooManyConnectionOptions = "too_many_connection_options"
    /// Expect is not `100-continue`. RFC 9110, section 10.1.1.
    case unknownExpectation = "unknown_expectation"

    // The status line.

    /// Not a version, a space and a status code. RFC 9112, section 4.
    case malformedStatusLine = "malformed_status_line"
    /// A status code that is not 100 to 599. RFC 9110, section 15.
    case malformedStatus = "malformed_status"
    /// A 1xx or 204 that announces content. RFC 9110, section 8.6.
    case framingWithoutBody = "framing_without_body"

    // Chunks and trailers.

    /// A chunk size that is not hexadecimal digits. RFC 9112, section 7.1.
    case malformedChunkSize = "malformed_chunk_size"
    /// A chunk size with too many digits. RFC 9112, section 7.1.
    case chunkSizeOverflow = "chunk_size_overflow"
    /// A byte that no chunk extension may hold. RFC 9112, section 7.1.1.
    case chunkExtensionByte = "chunk_extension_byte"
    /// A chunk's extensions exceed `chunkExtensionBytes`. RFC 9112, section 7.1.1.
    case chunkExtensionTooLong = "chunk_extension_too_long"
    /// All extensions exceed `chunkExtensionTotalBytes`. RFC 9112, section 7.1.1.
    case chunkExtensionsTooLong = "chunk_extensions_too_long"
    /// No CRLF behind a chunk's data. RFC 9112, section 7.1.
    case missingChunkEnd = "missing_chunk_end"
    /// The trailers are longer than `trailerBytes`. RFC 6585, section 5.
    case trailersTooLarge = "trailers_too_large"
    /// More trailers than `trailerCount`. RFC 6585, section 5.
    case tooManyTrailers = "too_many_trailers"
    /// A trailer that frames or routes, as `Content-Length`. RFC 9110, section 6.5.1.
    case forbiddenTrailer = "forbidden_trailer"

    /// The status that answers a request with this defect.
    public var status: UInt16 {
      switch self {
      case .targetTooLong: 414
      case .unknownExpectation: 417
      case .headTooLarge, .fieldNameTooLong, .fieldLineTooLong, .tooManyFields, .trailersTooLarge,
        .tooManyTrailers:
        431
      case .methodTooLong, .unknownTransferCoding: 501
      case .malformedStatusLine, .malformedStatus, .framingWithoutBody: 502
      case .unsupportedVersion: 505
      default: 400
      }
    }
  }
}
