/// The status of a gRPC call ("Status codes and their use in gRPC"). Raw values are the numbers on the wire.
package enum GRPCStatus: UInt8, Sendable, CaseIterable {
  case ok = 0
  case cancelled = 1
  case unknown = 2
  case invalidArgument = 3
  case deadlineExceeded = 4
  case notFound = 5
  case alreadyExists = 6
  case permissionDenied = 7
  case resourceExhausted = 8
  case failedPrecondition = 9
  case aborted = 10
  case outOfRange = 11
  case unimplemented = 12
  case `internal` = 13
  case unavailable = 14
  case dataLoss = 15
  case unauthenticated = 16

  /// Reads the value of `grpc-status`. Nil for anything but a number of the list.
  package init?(_ text: UnsafeRawBufferPointer) {
    guard (1...2).contains(text.count) else { return nil }
    var number: UInt8 = 0
    for digit in text {
      guard digit &- 0x30 < 10 else { return nil }
      number = number &* 10 &+ (digit &- 0x30)
    }
    self.init(rawValue: number)
  }

  /// What a gRPC client makes of an HTTP answer without a status ("HTTP to gRPC Status Code Mapping").
  package init(httpStatus: UInt16) {
    switch httpStatus {
    case 400: self = .internal
    case 401: self = .unauthenticated
    case 403: self = .permissionDenied
    case 404: self = .unimplemented
    case 429, 502, 503, 504: self = .unavailable
    default: self = .unknown
    }
  }

  /// What RST_STREAM means to a gRPC client ("gRPC over HTTP2", section "Errors").
  package init(reset code: HTTP2ErrorCode) {
    switch code {
    case .cancel: self = .cancelled
    case .refusedStream: self = .unavailable
    case .enhanceYourCalm: self = .resourceExhausted
    case .inadequateSecurity: self = .permissionDenied
    default: self = .internal
    }
  }

  /// The fault is the server's (or the network's), as with HTTP's 5xx. The other codes say that the request was wrong, or
  /// tell the caller something that it asked for. These six are the codes that Linkerd holds against an endpoint.
  package var isServerFault: Bool {
    switch self {
    case .unknown, .deadlineExceeded, .resourceExhausted, .internal, .unavailable, .dataLoss: true
    default: false
    }
  }

  /// The number as text, for fields and labels.
  package var digits: StaticString {
    switch self {
    case .ok: "0"
    case .cancelled: "1"
    case .unknown: "2"
    case .invalidArgument: "3"
    case .deadlineExceeded: "4"
    case .notFound: "5"
    case .alreadyExists: "6"
    case .permissionDenied: "7"
    case .resourceExhausted: "8"
    case .failedPrecondition: "9"
    case .aborted: "10"
    case .outOfRange: "11"
    case .unimplemented: "12"
    case .internal: "13"
    case .unavailable: "14"
    case .dataLoss: "15"
    case .unauthenticated: "16"
    }
  }
}
