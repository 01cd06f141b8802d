import MeshCore
import MeshHTTP

/// A request head for filters to work on.
func requestHead(
  _ path: String, method: Method = .get, authority: String = "orders", scheme: String = "",
  _ fields: [(String, String)] = []
) -> MessageHead {
  let head = MessageHead(capacity: 16)
  head.method = method
  head.path = head.intern(string: path)
  head.authority = head.intern(string: authority)
  head.scheme = head.intern(string: scheme)
  for (name, value) in fields { head.append(name: name, value: value) }
  return head
}

extension MessageHead {
  func text(_ slice: Slice) -> String { bytes(slice).string }

  /// Live fields as `name: value`, names in lower case.
  var lines: [String] {
    fields.filter { !$0.isRemoved }.map { "\(text($0.name).lowercased()): \(text($0.value))" }
  }
}
