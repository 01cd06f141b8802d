import MeshCore
import MeshPolicy

extension PolicyReader {
  /// The block counts as a whole; `delay: 0s` takes away what wider policies say.
  static func hedging(_ block: Fields) -> [PolicySetting] {
    let delay = block.time("delay")
    let percentile = block.optional("percentile")
    let share = percentile?.decimal(in: 50...99.99)
    let allMethods = block.optional("allMethods").flatMap { $0.bool() } ?? false
    if block.context.hasErrors { return [] }
    if (delay == nil) == (percentile == nil) {
      block.error("needs either a delay or a percentile", fix: "write delay: 50ms, or percentile: 95")
      return []
    }
    if let delay {
      return [.hedging(delay == .zero ? nil : HedgingPolicy(.fixed(delay), allMethods: allMethods))]
    }
    return share.map { [.hedging(HedgingPolicy(.quantile(UInt32(($0 * 100).rounded())), allMethods: allMethods))] }
      ?? []
  }
}
