import MeshCore
import MeshHTTP

// A request target as rules look at it: its path, its query, their elements. Nothing is decoded and nothing is copied.
extension MessageHead {
  struct Target {
    var path = UnsafeRawBufferPointer(start: nil, count: 0)
    /// Without its question mark.
    var query = UnsafeRawBufferPointer(start: nil, count: 0)
  }

  /// Valid until the head changes.
  var target: Target {
    let whole = bytes(path)
    for i in 0..<whole.count where whole[i] == UInt8(ascii: "?") {
      return Target(path: whole.slice(0, i), query: whole.slice(i &+ 1, whole.count &- i &- 1))
    }
    return Target(path: whole)
  }
}

extension UnsafeRawBufferPointer {
  /// `prefix` has no slash at its end; it must end where an element of this path does.
  @inline(__always)
  func hasElementPrefix(_ prefix: UnsafeRawBufferPointer) -> Bool {
    guard count >= prefix.count, slice(0, prefix.count).equals(prefix) else { return false }
    return prefix.count == 0 || count == prefix.count || self[prefix.count] == UInt8(ascii: "/")
  }

  /// The value of the first parameter called `name` in this query; empty for one without `=`. Nil when there is none.
  func firstParameter(named name: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
    var start = 0
    while start < count {
      var end = start
      while end < count, self[end] != UInt8(ascii: "&") { end &+= 1 }
      let afterName = start &+ name.count
      if afterName <= end, afterName == end || self[afterName] == UInt8(ascii: "="),
        slice(start, name.count).equals(name)
      {
        let value = Swift.min(afterName &+ 1, end)
        return slice(value, end &- value)
      }
      start = end &+ 1
    }
    return nil
  }
}
