package import MeshHTTP

/// Some of the seventeen statuses of gRPC, as bits.
package struct GRPCStatusSet: OptionSet, Hashable, Sendable {
  package let rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  package init(_ statuses: [GRPCStatus]) {
    rawValue = statuses.reduce(0) { $0 | 1 << UInt32($1.rawValue) }
  }

  // Those that a policy can name.
  package static let cancelled = GRPCStatusSet([GRPCStatus.cancelled])
  package static let deadlineExceeded = GRPCStatusSet([GRPCStatus.deadlineExceeded])
  package static let resourceExhausted = GRPCStatusSet([GRPCStatus.resourceExhausted])
  package static let `internal` = GRPCStatusSet([GRPCStatus.internal])
  package static let unavailable = GRPCStatusSet([GRPCStatus.unavailable])

  package func contains(_ status: GRPCStatus) -> Bool { rawValue >> UInt32(status.rawValue) & 1 == 1 }

  /// Ascending.
  package var all: [GRPCStatus] { GRPCStatus.allCases.filter { contains($0) } }
}
