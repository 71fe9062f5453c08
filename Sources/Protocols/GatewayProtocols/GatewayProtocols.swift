// How a web server speaks to applications that are no web servers: FastCGI, SCGI, uwsgi, and the meta-variables
// of CGI that all of them carry.
//
// The module's one difficulty is that these protocols tell an application by names what HTTP tells by places:
// a name that a client can choose (`Proxy`, `Content_Length`), or a path of which each side takes another part
// for the script, is how a client comes to run what it should not. So the names of fields are passed on only
// where they can be mistaken for no other, and a path is taken apart in one place, ``ScriptPath``.
//
// It knows bytes alone: requests become bytes in ``GatewayRequest``, answers become the text that HTTP/1.1
// would have sent in ``GatewayAnswer``, so that whoever speaks to members reads one form.
//
//     var request = GatewayRequest(.fastCGI)
//     request.add("REQUEST_METHOD", "GET")
//     request.add("SCRIPT_FILENAME", "/srv/www/index.php")
//     let bytes = request.encoded(contentLength: 0, keepsConnection: true)
//
// Sources: the FastCGI specification 1.0; RFC 3875; the description of SCGI by Neil Schemenauer; the uwsgi
// protocol as the documents of uWSGI describe it.

/// What a member speaks that is no server of HTTP.
public enum GatewayProtocol: String, Hashable, Sendable, CaseIterable {
  /// FastCGI 1.0.
  case fastCGI = "fastcgi"
  /// SCGI.
  case scgi
  /// The protocol of uWSGI.
  case uwsgi
}

/// Why what an application says cannot be understood; the member is at fault.
public enum GatewayFault: String, Error, Hashable, Sendable, CaseIterable {
  /// A record of another version than 1.
  case recordVersion = "record_version"
  /// A record that no application sends.
  case recordType = "record_type"
  /// A record for a request that was not sent.
  case recordRequest = "record_request"
  /// A record behind the end of the answer.
  case recordAfterEnd = "record_after_end"
  /// The record that ends an answer has not its eight bytes.
  case endLength = "end_length"
  /// The application takes no request now, and has not looked at this one.
  case refused
  /// The application does not know what it is asked for.
  case roleUnknown = "role_unknown"
  /// A line of the head is neither a field nor the empty line.
  case fieldLine = "field_line"
  /// A field has a byte that it must not have, or is folded over two lines.
  case fieldByte = "field_byte"
  /// The head is longer than allowed.
  case headTooLong = "head_too_long"
  /// The head has no field, where CGI asks for one at least.
  case noField = "no_field"
  /// The status is not a number from 200 to 599.
  case status
  /// The length of the content is no number, or given twice.
  case contentLength = "content_length"
  /// The content is longer than was said.
  case contentTooLong = "content_too_long"
  /// The content is shorter than was said, and the answer is over.
  case contentTooShort = "content_too_short"
}
