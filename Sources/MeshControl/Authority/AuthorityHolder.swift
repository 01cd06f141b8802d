package import MeshIdentity
import Synchronization
import X509

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The authority in force, for those who sign with it or hand out its anchors, and who want to know when it changes.
package final class AuthorityHolder: Sendable {
  private struct State {
    var current: CertificateAuthority
    var lastListener: UInt64 = 0
    var listeners: [UInt64: AsyncStream<Void>.Continuation] = [:]
  }

  private let state: Mutex<State>

  package init(_ authority: CertificateAuthority) { state = Mutex(State(current: authority)) }

  package var current: CertificateAuthority { state.withLock { $0.current } }

  /// When root and issuer end, for alerts long before they do.
  package var expiry: ControllerMetrics.Gauge {
    ControllerMetrics.Gauge(
      name: "authority_certificate_expiry_seconds", help: "End of the authority's own certificates, Unix time.",
      label: "certificate"
    ) { [self] in
      let authority = current
      return [("root", authority.root), ("issuer", authority.issuer.certificate)].map { name, certificate in
        (name, Int64(certificate.notValidAfter.timeIntervalSince1970))
      }
    }
  }

  package func replace(_ authority: CertificateAuthority) {
    let listeners = state.withLock { state in
      state.current = authority
      return Array(state.listeners.values)
    }
    for listener in listeners { listener.yield() }
  }

  /// One element after changes; several may come as one. Ends with the task that reads it.
  package func changes() -> AsyncStream<Void> {
    let (stream, listener) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    let id = state.withLock { state in
      state.lastListener += 1
      state.listeners[state.lastListener] = listener
      return state.lastListener
    }
    listener.onTermination = { [weak self] _ in self?.state.withLock { _ = $0.listeners.removeValue(forKey: id) } }
    return stream
  }
}
