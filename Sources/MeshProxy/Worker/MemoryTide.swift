/// Tells when a wave of connections has gone by, which is when giving memory back to the system is worth its time.
///
/// A pure value, asked once a second. Limit: waves below `smallestWave` connections are not worth it.
struct MemoryTide {
  static let smallestWave = 1_000
  private var highest = 0
  private var last = 0

  /// True once when the number of open connections has fallen to half of its highest value since the last time, by a wave
  /// at least, and falls no further: in the middle of the fall there would be more to give back a moment later.
  mutating func hasFallen(to open: Int) -> Bool {
    defer { last = open }
    highest = max(highest, open)
    guard highest - open >= Self.smallestWave, open <= highest / 2, open >= last else { return false }
    highest = open
    return true
  }
}
