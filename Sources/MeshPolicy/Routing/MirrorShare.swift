/// Which requests a mirror gets: a share of all, drawn evenly (`EvenDraws`).
package struct MirrorShare: Sendable {
  private let numerator: UInt64
  private let denominator: UInt64
  private var draws: EvenDraws

  /// `start` is where the even draws begin.
  package init(_ mirror: RequestMirror, start: UInt64) {
    denominator = UInt64(max(mirror.denominator, 1))
    numerator = min(UInt64(mirror.numerator), denominator)
    draws = EvenDraws(start: start)
  }

  package mutating func next() -> Bool {
    if numerator == denominator { return true }
    return denominator.multipliedFullWidth(by: draws.next()).high < numerator
  }
}
