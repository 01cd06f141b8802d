package import MeshCore

/// What single requests may say of how they are treated, and whose.
package struct OverridePolicy: Hashable, Sendable {
  package struct Kinds: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// `x-apus-timeout`, in the place of `timeouts.request`.
    package static let timeout = Kinds(rawValue: 1)
    /// `x-apus-attempt-timeout`, in the place of `timeouts.backendRequest`.
    package static let attemptTimeout = Kinds(rawValue: 2)
    /// `x-apus-retries`, in the place of `retries.attempts`.
    package static let retries = Kinds(rawValue: 4)
  }

  package var kinds: Kinds
  /// Service accounts, such as `shop/web`.
  package var callers: [String]

  package init(kinds: Kinds, callers: [String]) {
    self.kinds = kinds
    self.callers = callers
  }

  /// What a caller may; nothing without an identity.
  package func kinds(for caller: SPIFFEID?) -> Kinds {
    guard let caller, callers.contains("\(caller.namespace)/\(caller.serviceAccount)") else { return [] }
    return kinds
  }
}
