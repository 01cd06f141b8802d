package import MeshHTTP

/// How a request ended as a gRPC call. A closed set, so that no server can make label values of its own.
package enum GRPCOutcome: Hashable, Sendable {
  case notGRPC
  /// It was reset or cancelled, or what answered did not speak gRPC.
  case noStatus
  /// `grpc-status` was not one of the numbers 0 to 16.
  case unrecognized
  case status(GRPCStatus)

  /// The server or the network failed; `GRPCStatus.isServerFault`. A status that nobody knows is read as UNKNOWN.
  package var isServerFault: Bool {
    switch self {
    case .notGRPC, .noStatus: false
    case .unrecognized: true
    case .status(let status): status.isServerFault
    }
  }

  /// The value of the label `grpc_status` and of the log's field.
  package var label: StaticString {
    switch self {
    case .notGRPC: ""
    case .noStatus: "none"
    case .unrecognized: "invalid"
    case .status(let status): status.digits
    }
  }
}
