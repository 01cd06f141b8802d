import MeshCore

extension Fields {
  func count(_ name: String, _ range: ClosedRange<Int>) -> UInt32? {
    optional(name)?.integer(in: range).map { UInt32($0) }
  }

  func time(_ name: String) -> TimeSpan? { optional(name)?.duration() }
}

extension Field {
  /// A number that may have a fraction.
  func decimal(in range: ClosedRange<Double>) -> Double? {
    switch node.value {
    case .number(let text):
      if let number = Double(text), range.contains(number) { return number }
      error("must be a number from \(range.lowerBound) to \(range.upperBound), not \(text)")
    case .string(let text) where Double(text) != nil:
      error("must be a number, not text", fix: "write \(text) without quotes")
    default:
      error("must be a number, not \(node.kindDescription)")
    }
    return nil
  }
}
