/// Which answers a proxy compresses, for clients that ask for it.
package struct CompressionPolicy: Hashable, Sendable {
  /// Media types in lower case, such as `application/json`, or `text/*` for all texts but streams of events.
  package var contentTypes: [String]
  /// Shorter answers are left as they are, where they say how long they are.
  package var minimumBytes: UInt32
  /// From 1, the quickest, to 9, the smallest.
  package var level: UInt32

  /// What is text and has no compression of its own.
  package static let defaultTypes = [
    "application/javascript", "application/json", "application/ld+json", "application/manifest+json",
    "application/problem+json", "application/wasm", "application/xhtml+xml", "application/xml", "image/svg+xml",
    "text/*",
  ]

  package init(contentTypes: [String] = Self.defaultTypes, minimumBytes: UInt32 = 1_024, level: UInt32 = 4) {
    self.contentTypes = contentTypes
    self.minimumBytes = minimumBytes
    self.level = level
  }
}
