import { Screen } from '../ui/parts'

export const Configuration = () => <Screen title="Configuration">{null}</Screen>
