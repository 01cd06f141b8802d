package import MeshCore

/// A second attempt at another endpoint while the first one has not answered; the first answer counts.
///
/// Every hedge takes from the retry budget of its backend, like a repeat.
package struct HedgingPolicy: Hashable, Sendable {
  package enum Delay: Hashable, Sendable {
    case fixed(TimeSpan)
    /// So many hundredths of a percent of the backend's recent answers came earlier (9,500: 95 %).
    case quantile(UInt32)
  }

  package var delay: Delay
  /// Also requests that do more when they are sent twice: POST and PATCH, and so every call of gRPC.
  package var allMethods: Bool

  package init(_ delay: Delay, allMethods: Bool = false) {
    self.delay = delay
    self.allMethods = allMethods
  }

  package static let quantiles: ClosedRange<UInt32> = 5_000...9_999
}
