import MeshCore
package import MeshHTTP

/// A change of what the backend is asked for (Gateway API, HTTPURLRewriteFilter), ready to apply.
package struct CompiledRewrite: Sendable {
  private let authority: [UInt8]?
  private let path: CompiledPathModifier?

  package init(_ rewrite: URLRewrite) {
    authority = rewrite.hostname.flatMap { $0.isHostname ? Array($0.utf8) : nil }
    path = rewrite.path.map(CompiledPathModifier.init)
  }

  package func apply(to head: MessageHead) {
    if let authority {
      head.authority = authority.withUnsafeBytes { head.intern($0) }
      head.remove(.host)
    }
    if let new = path?.path(of: head) { head.path = new }
  }
}

extension String {
  /// Bytes that a host may have: letters, digits, hyphens and dots.
  var isHostname: Bool { !isEmpty && utf8.allSatisfy(\.isHostnameByte) }
}

extension UInt8 {
  var isHostnameByte: Bool {
    switch self {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."): true
    default: false
    }
  }
}
