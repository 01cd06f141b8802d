/// Why the control plane cannot start, in one line for the operator: what failed, and what to do.
package struct ControlPlaneError: Error, Hashable, Sendable, CustomStringConvertible {
  package var description: String

  package init(_ description: String) { self.description = description }
}
