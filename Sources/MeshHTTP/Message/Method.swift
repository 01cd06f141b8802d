import MeshCore

/// A request method (RFC 9110, section 9). Methods outside the list are `other` and keep their bytes in the head.
public enum Method: UInt8, Sendable {
  case get, head, post, put, delete, connect, options, trace, patch, other

  public init(_ bytes: UnsafeRawBufferPointer) {
    self = Self.lookup(bytes)
  }

  /// The method's name; empty for `other`.
  public var name: StaticString {
    switch self {
    case .get: "GET"
    case .head: "HEAD"
    case .post: "POST"
    case .put: "PUT"
    case .delete: "DELETE"
    case .connect: "CONNECT"
    case .options: "OPTIONS"
    case .trace: "TRACE"
    case .patch: "PATCH"
    case .other: ""
    }
  }

  /// RFC 9110, section 9.2.2: repeating the request has the effect of sending it once.
  public var isIdempotent: Bool {
    switch self {
    case .get, .head, .put, .delete, .options, .trace: true
    case .post, .connect, .patch, .other: false
    }
  }

  private static func lookup(_ bytes: UnsafeRawBufferPointer) -> Method {
    switch bytes.count {
    case 3: bytes.equals("GET") ? .get : bytes.equals("PUT") ? .put : .other
    case 4: bytes.equals("POST") ? .post : bytes.equals("HEAD") ? .head : .other
    case 5: bytes.equals("PATCH") ? .patch : bytes.equals("TRACE") ? .trace : .other
    case 6: bytes.equals("DELETE") ? .delete : .other
    case 7: bytes.equals("OPTIONS") ? .options : bytes.equals("CONNECT") ? .connect : .other
    default: .other
    }
  }
}
