/// The version of this build, the same for all programs of Apus.
package enum ApusVersion {
  package static let current = "0.1.0"
}
